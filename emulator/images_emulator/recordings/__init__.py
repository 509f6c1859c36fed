"""Recorded exchanges, and the files that they are kept in. The package imports no web framework. A
server that starts without recordings does not load it."""

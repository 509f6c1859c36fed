"""Recorded exchanges, and the files they are kept in. No web framework, and loaded by no start of a
server that has no use for recordings."""

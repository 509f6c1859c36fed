"""Forwards calls to another server, and records them."""

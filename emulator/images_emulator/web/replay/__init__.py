"""Answers calls with recordings: a server with the setting `replay`."""

"""Recordings of other tools, read as recordings of ours."""

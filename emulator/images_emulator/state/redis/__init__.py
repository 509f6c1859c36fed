"""The store in Redis: its containers, its scripts, and its client."""

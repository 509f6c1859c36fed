"""State that outlives a call."""

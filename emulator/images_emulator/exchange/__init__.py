"""One call from its arrival to its end, and what is known of it."""

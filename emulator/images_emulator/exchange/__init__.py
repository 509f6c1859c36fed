"""One call from its arrival to its end, as a typed value."""

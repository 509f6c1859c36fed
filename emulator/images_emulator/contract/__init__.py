"""The API as data: what it accepts, and what it answers."""

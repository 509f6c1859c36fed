"""From a validated request to pictures."""

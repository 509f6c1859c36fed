"""The API on paper: what it accepts and what it says back."""

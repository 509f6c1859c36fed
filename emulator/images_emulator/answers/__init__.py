"""Answers of one's own, in place of drawings: their documents, and the files in them."""

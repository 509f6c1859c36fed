"""Recordings of other tools, read as recordings of ours."""

from __future__ import annotations

from typing import Final

KINDS_IN_WORDS: Final = (
    "VCR.py, ruby-vcr, Betamax, go-vcr, Polly.JS, HAR and the Azure SDK test proxy"
)
"""The tools and formats whose files are read, as a sentence lists them."""

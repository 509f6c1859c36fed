"""Reads recordings of other tools as recordings of the emulator."""

from __future__ import annotations

from typing import Final

KINDS_IN_WORDS: Final = (
    "VCR.py, ruby-vcr, Betamax, go-vcr, Polly.JS, HAR and the Azure SDK test proxy"
)
"""The supported tools and formats, as a sentence lists them."""

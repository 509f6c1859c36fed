"""The types of files by their first bytes and by their suffixes."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from images_emulator.file_types import (
    FILE_TYPES,
    SIGNATURE_BYTES,
    file_type_of,
    file_type_of_suffix,
)

DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'


@pytest.mark.parametrize("word", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "avif"])
def test_picture_that_pillow_writes_has_the_first_bytes_of_its_type(word: str) -> None:
    file = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, word.upper())
    beginning = file.getvalue()[:SIGNATURE_BYTES]
    assert file_type_of(beginning) is FILE_TYPES[word]
    assert file_type_of(b" " + beginning) is None


@pytest.mark.parametrize(
    "beginning",
    [
        b"<svg/>",
        b"\xef\xbb\xbf<svg/>",
        b'\n <svg xmlns="http://www.w3.org/2000/svg">',
        DECLARATION + b"<svg>",
        DECLARATION + b'<!-- made by hand -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG">\n<svg ',
        b"<!-- made by hand --><svg>",
    ],
)
def test_svg_is_known_by_its_root_behind_declarations_and_comments(beginning: bytes) -> None:
    assert file_type_of(beginning) is FILE_TYPES["svg"]


@pytest.mark.parametrize("length", range(len(DECLARATION) - 5, len(DECLARATION) + 5))
def test_xml_whose_root_is_not_seen_may_be_an_svg(length: int) -> None:
    assert file_type_of((DECLARATION + b"<svg>")[:length]) is FILE_TYPES["svg"]


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"text",
        b"<!doctype html><html>",
        b"<!-- a comment that goes on",
        DECLARATION + b"<Error><Code>BlobNotFound</Code></Error>",
        DECLARATION + b"<svgs>",
        b"RIFF\0\0\0\0WAVE",
        b"GIF88a",
        b"\x89PNG\n",
    ],
)
def test_other_files_have_no_type(beginning: bytes) -> None:
    assert file_type_of(beginning) is None


def test_each_suffix_belongs_to_one_type() -> None:
    suffixes = [suffix for each in FILE_TYPES.values() for suffix in each.suffixes]
    assert len(suffixes) == len({*suffixes})
    for each in FILE_TYPES.values():
        assert all(file_type_of_suffix(suffix.upper()) is each for suffix in each.suffixes)
    assert file_type_of_suffix("") is file_type_of_suffix(".txt") is None

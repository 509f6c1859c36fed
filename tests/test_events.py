"""Server-sent events: a stream is cut at the ends of its events, in whatever parts it comes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images_emulator.contract.events import EventSplitter

EVENTS = re.compile(rb"(?s).*?(?>\r\n|\n|\r)(?>\r\n|\n|\r)|.+")
"""A whole event, or what is left behind the last one."""


@pytest.mark.slow
@given(st.lists(st.text("\r\na", max_size=4).map(str.encode)))
def test_stream_is_cut_into_the_same_events_whatever_its_parts_are(parts: list[bytes]) -> None:
    splitter = EventSplitter()
    events = [event for part in parts for event in splitter.split(part, is_last=False)]
    events += splitter.split(b"", is_last=True)
    assert events == EVENTS.findall(b"".join(parts))


def test_event_comes_as_soon_as_it_is_whole() -> None:
    splitter = EventSplitter()
    texts = [b"a\n", b"\nb\r", b"\n\r\n", b"c\r\r", b"d"]
    cut = [splitter.split(text, is_last=False) for text in texts]
    # Behind a carriage return a line feed may follow.
    assert cut == [[], [b"a\n\n"], [b"b\r\n\r\n"], [], [b"c\r\r"]]
    assert splitter.split(b"", is_last=True) == [b"d"]

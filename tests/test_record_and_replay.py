"""A recording that the proxy makes of one emulator is played by another, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from images_emulator import Server
from images_emulator.record_server import RecordServer
from images_emulator.recordings.folder import RecordingFolder, read_folder
from images_emulator.recordings.recording import Recording
from images_emulator.recordings.redaction import Redactor
from tests.conftest import KEY
from tests.pictures import png
from tests.replays import CALLS, differences, form, sent_by
from tests.wire import answer_of, exchange, headers_of

ALL: dict[str, dict[str, Any]] = CALLS | {
    "picture by URL": {
        "target": "/v1/images/generations",
        "body": {"model": "dall-e-2", "prompt": "A fox", "n": 2, "size": "256x256"},
    },
    "variation by URL": {
        "target": "/v1/images/variations",
        "body": form(("image", "a.png", png()))[0],
        "content_type": "multipart/form-data; boundary=b",
    },
}


def summary(recording: Recording) -> object:
    """The answer as a client sees it, in whatever pieces it came."""
    response = recording.response
    return response and (response.status, headers_of(response), response.body, response.end)


@pytest.mark.slow
def test_what_the_proxy_records_is_played_byte_for_byte(server: Server, tmp_path: Path) -> None:
    with RecordServer(server.url, RecordingFolder(tmp_path).add) as proxy:
        got = [exchange(proxy.url, **{"method": "POST", **call}) for call in ALL.values()]
    # A test's own downloads of pictures go through the proxy, too.
    recordings = [
        each for each in read_folder(tmp_path) if not each.request.target.startswith("/private/")
    ]
    assert len(recordings) == len(ALL)
    redactor = Redactor()
    for name, seen, recorded in zip(ALL, got, recordings, strict=True):
        assert summary(redactor.redact(seen)) == summary(recorded), name
    with Server(replay=str(tmp_path), on_miss="refuse", delay=False) as player:
        for name, recorded in zip(ALL, recordings, strict=True):
            key = {"api_key": KEY} if "api_key" in ALL[name] else {}
            played = sent_by(player, recorded, **key)
            if not recorded.downloads:
                assert not [*differences(played, recorded)], name
                continue
            # Their URLs lead to the player.
            assert [each.data for each in played.downloads] == [
                each.data for each in recorded.downloads
            ]
            assert len(played.downloads) == len(json.loads(answer_of(played).body)["data"])
        assert [call.recording for call in player.requests] == [each.name for each in recordings]

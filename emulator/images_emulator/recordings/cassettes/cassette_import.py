"""Imports cassettes: their exchanges with an images API become recordings, the pictures that were
downloaded from their answers' URLs become parts of these, and the rest is counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from images_emulator.contract.operations import AZURE_PREFIX, MOUNTS
from images_emulator.immutable import Immutable
from images_emulator.recordings.cassettes.cassette import CASSETTE_SUFFIXES, read_cassette
from images_emulator.recordings.cassettes.interaction import Interaction
from images_emulator.recordings.document import decoded_body, header
from images_emulator.recordings.recording import (
    RecordedDownload,
    RecordedResponse,
    Recording,
)


class CassetteImport(Immutable):
    """The recordings of one file to import."""

    kind: str
    recordings: tuple[Recording, ...]
    left_out: Mapping[str, int]
    """The numbers of exchanges with other services, by host."""
    problems: tuple[str, ...]
    """Sentences about interactions of which no recordings can be made."""

    @property
    def downloads(self) -> int:
        """The number of hosted pictures in all recordings."""
        return sum(len(each.downloads) for each in self.recordings)


def cassette_files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """The files of *paths*, those in folders sorted by name, each with whether it was named itself.
    In a folder only files are looked at that are named as cassettes are."""
    for path in paths:
        if path.is_dir():
            inner = (each for each in path.rglob("*") if each.suffix in CASSETTE_SUFFIXES)
            yield from ((each, False) for each in sorted(inner) if each.is_file())
        else:
            yield path, True


def import_cassette(path: Path) -> CassetteImport:
    """The recordings of the cassette in *path*. Raises what `read_cassette` raises."""
    cassette = read_cassette(path)
    recordings: list[Recording] = []
    left_out: Counter[str] = Counter()
    # The recording that has a URL in its answer, and that URL as it stands there, by what the
    # tools do not change of a URL.
    hosted: dict[tuple[str, str], tuple[int, str]] = {}
    for each in cassette.interactions:
        # The folder tells recordings of Polly.JS apart, whose files all have one name.
        source = f"{cassette.kind}: {'/'.join(path.parts[-2:])}, interaction {each.number}"
        if target := served_target(each.recording.request.target):
            request = replace(each.recording.request, target=target)
            recording = replace(each.recording, request=request, source=source)
            hosted.update(
                (_address(urlsplit(url)), (len(recordings), url))
                for url in _urls_of(recording.response)
            )
            recordings.append(recording)
        elif place := hosted.get(_address(urlsplit(each.url))):
            number, url = place
            recordings[number] = _with_download(recordings[number], each, url)
        else:
            left_out[urlsplit(each.url).netloc.rpartition("@")[2]] += 1
    return CassetteImport(cassette.kind, tuple(recordings), left_out, cassette.problems)


def content_of(recording: Recording) -> tuple[object, ...]:
    """The values that all recordings of one interaction have, also when one of them was written and
    read again."""
    request, response = recording.request, recording.response
    answer = (response.status, response.body) if response else recording.error
    return recording.source, request.method, request.target, request.body, answer


def _pattern() -> re.Pattern[str]:
    """The paths of the API behind any prefix of a gateway's own: the operations that the emulator
    serves, and what else there is below `/images`."""
    routes = {
        re.sub(r"\{[^}]+\}", "[^/]+", mount.prefix + operation.route)
        for mount in MOUNTS
        for operation in mount.operations
        if mount.prefix
    }
    others = ("/v1/images(?:/.*)?", f"{AZURE_PREFIX}.*/images(?:/.*)?")
    return re.compile(f"(?:/.*?)??({'|'.join([*sorted(routes), *others])})")


_SERVED: Final = _pattern()
_WITHOUT_VERSION: Final = re.compile(r"/images/(?:generations|edits|variations)")


def served_target(target: str) -> str | None:
    """The *target* at the emulator of a request that was sent to another server's; None for one
    that is no call to an API of images."""
    path, mark, query = target.partition("?")
    if match := _SERVED.fullmatch(path) or _WITHOUT_VERSION.fullmatch(path):
        return match[match.lastindex or 0] + mark + query
    return None


def _address(url: SplitResult) -> tuple[str, str]:
    """The address in *url*, without its query, which tools sort, encode anew and redact."""
    return url.netloc.lower(), url.path


def _urls_of(response: RecordedResponse | None) -> Iterator[str]:
    """The URLs of pictures in an answer."""
    if response is None or response.status != 200:
        return
    coding = header(response.headers, "content-encoding").strip().lower()
    body = (decoded_body(response.body, coding) if coding else response.body) or b""
    try:
        data: Any = json.loads(body)["data"]
        yield from (each["url"] for each in data if isinstance(each.get("url"), str))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def _with_download(recording: Recording, each: Interaction, url: str) -> Recording:
    """*recording* with the picture that *each* downloaded from the *url* in its answer; the first
    download of a URL counts."""
    response = each.recording.response
    if response is None or url in (each.url for each in recording.downloads):
        return recording
    download = RecordedDownload(
        url=url, status=response.status, headers=response.headers, data=response.body
    )
    return replace(recording, downloads=(*recording.downloads, download))

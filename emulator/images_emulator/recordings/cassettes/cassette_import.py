"""Imports cassettes. Exchanges with an images API become recordings. Downloads of the pictures that
an answer has by URL become parts of its recording. All other exchanges are counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
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

_NUMBER_MARK: Final = ", interaction "
"""The words between the cassette and the number of the interaction, in the source of a recording.
"""


class CassetteImport(Immutable):
    """The recordings of one file to import."""

    kind: str
    recordings: tuple[Recording, ...]
    left_out: Mapping[str, int]
    """The number of exchanges with each other service, by host."""
    problems: tuple[str, ...]
    """Sentences about interactions that cannot become recordings."""

    @property
    def downloads(self) -> int:
        """The number of hosted pictures in all recordings."""
        return sum(len(each.downloads) for each in self.recordings)


def cassette_files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield the files of *paths*, each with whether *paths* names it itself. The files in a folder
    are sorted by name; only those with a suffix of cassettes are included."""
    for path in paths:
        if path.is_dir():
            inner = (each for each in path.rglob("*") if each.suffix in CASSETTE_SUFFIXES)
            yield from ((each, False) for each in sorted(inner) if each.is_file())
        else:
            yield path, True


def import_cassette(path: Path) -> CassetteImport:
    """The recordings of the cassette in *path*. Raises what `read_cassette` raises."""
    cassette = read_cassette(path)
    # The folder is part of the source because all Polly.JS recordings have the same file name.
    # Resolved, so that the source is the same from every working directory.
    file = path.resolve()
    title = f"{cassette.kind}: {'/'.join(file.relative_to(file.anchor).parts[-2:])}"
    recordings: list[Recording] = []
    left_out: Counter[str] = Counter()
    # By the address of a URL: the number of the recording that has the URL in its answer, and the
    # URL as it stands there. Tools do not change the address.
    hosted: dict[tuple[str, str], tuple[int, str]] = {}
    for interaction in cassette.interactions:
        source = f"{title}{_NUMBER_MARK}{interaction.number}"
        if target := served_target(interaction.recording.request.target):
            request = replace(interaction.recording.request, target=target)
            recording = replace(interaction.recording, request=request, source=source)
            hosted.update(
                (_address(urlsplit(url)), (len(recordings), url))
                for url in _urls_of(recording.response)
            )
            recordings.append(recording)
        elif place := hosted.get(_address(urlsplit(interaction.url))):
            number, url = place
            recordings[number] = _with_download(recordings[number], interaction, url)
        else:
            left_out[urlsplit(interaction.url).netloc.rpartition("@")[2]] += 1
    return CassetteImport(cassette.kind, tuple(recordings), left_out, cassette.problems)


def cassette_of(recording: Recording) -> str:
    """The source of *recording* without the number of the interaction, which changes when others
    are put in front of it. It is equal for all recordings of one cassette. For a recording that is
    of no cassette, it is the whole source."""
    return recording.source.rpartition(_NUMBER_MARK)[0] or recording.source


def content_of(recording: Recording) -> tuple[object, ...]:
    """The values that identify an interaction within its cassette: they are equal in all its
    recordings, also after one was written and read again. Interactions of one cassette may have
    equal values, too. Bodies are in it as their SHA-256."""
    request, response = recording.request, recording.response
    answer = (response.status, sha256(response.body).digest()) if response else recording.error
    return request.method, request.target, sha256(request.body).digest(), answer


def _pattern() -> re.Pattern[str]:
    """The pattern of the API's paths after any prefix of a gateway: the operations that the
    emulator serves, and all other paths below `/images`."""
    routes = {
        re.sub(r"\{[^}]+\}", "[^/]+", mount.prefix + operation.subpath)
        for mount in MOUNTS
        for operation in mount.operations
        if mount.prefix
    }
    others = ("/v1/images(?:/.*)?", f"{AZURE_PREFIX}.*/images(?:/.*)?")
    return re.compile(f"(?:/.*?)??({'|'.join([*sorted(routes), *others])})")


_SERVED: Final = _pattern()
_WITHOUT_VERSION: Final = re.compile(r"/images/(?:generations|edits|variations)")


def served_target(target: str) -> str | None:
    """The *target*, sent to another server, as a target at the emulator; None where it is no call
    to an images API."""
    path, mark, query = target.partition("?")
    if match := _SERVED.fullmatch(path) or _WITHOUT_VERSION.fullmatch(path):
        return match[match.lastindex or 0] + mark + query
    return None


def _address(url: SplitResult) -> tuple[str, str]:
    """The host and path of *url*. Tools sort, encode anew and redact the query, so it is left
    out."""
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
    """*recording* with the picture that *each* downloaded from the *url* in its answer. Only the
    first download of a URL counts."""
    response = each.recording.response
    if response is None or url in (each.url for each in recording.downloads):
        return recording
    download = RecordedDownload(
        url=url, status=response.status, headers=response.headers, data=response.body
    )
    return replace(recording, downloads=(*recording.downloads, download))

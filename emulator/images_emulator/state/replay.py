"""Replay: the recordings that answer calls, and how often each of them has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from images_emulator.imaging.image_loader import ImageLoader
from images_emulator.recordings.compared_call import Resolver
from images_emulator.recordings.matching import RecordingIndex
from images_emulator.recordings.recording import RecordedDownload, Recording
from images_emulator.settings import ReplayMatch, Settings
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.state.store import Store

STATUSES: Final = range(200, 600)
"""The statuses that an answer of the server can have."""


class _Play(NamedTuple):
    """The quota of one recording: it is played once in its order. *key* is that of its counter."""

    key: str
    after: int = 0
    times: int | None = 1
    probability: float = 1
    seed: str = ""


class HostedRecording(NamedTuple):
    """A hosted picture of a recording: its *place* in the folder, and that in its downloads."""

    place: int
    number: int


class Replay:
    """The *recordings* of a folder, and which were played since the last reset.

    A recording is not played where its conditions are others than those of the emulator: other
    *settings*, a key that is not accepted. Of the recordings that match a call, the first is played
    that was not played before; when all were, the last.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        settings: Settings,
        store: Store,
        deployments: Mapping[str, str],
        file: Callable[[str], bytes | None],
    ) -> None:
        self.recordings = recordings
        self.resolver = Resolver(deployments, ImageLoader(file, lambda url: None))
        self.index = RecordingIndex(
            recordings, self.resolver, lambda recording: is_played(recording, settings)
        )
        self.level = ReplayMatch(settings.replay_match)
        self._counters = store.counters("replay")
        self._hosted = dict(_hosted(recordings))

    async def next_of(self, places: Sequence[int]) -> int:
        """The place of the recording among *places* that is played now."""
        claim = await self._counters.claim(_Play(f"{place}") for place in places)
        return int(claim[0].key) if claim else places[-1]

    def hosted(self, path: str) -> HostedRecording | None:
        """The hosted picture at the *path* of this server, or None."""
        return self._hosted.get(path)

    def download(self, hosted: HostedRecording) -> RecordedDownload:
        return self.recordings[hosted.place].downloads[hosted.number]

    async def reset(self) -> None:
        """Play each recording anew."""
        await self._counters.clear()


def replay_of(
    settings: Settings,
    store: Store,
    deployments: Mapping[str, str],
    file: Callable[[str], bytes | None],
) -> Replay:
    """The recordings in the folder of the *settings*. Raises ValueError where there is none, it has
    none, or one of them has mistakes."""
    from images_emulator.recordings.folder import read_folder  # noqa: PLC0415

    assert settings.replay is not None
    folder = Path(settings.replay)
    try:
        recordings = read_folder(folder)
    except OSError as error:
        raise ValueError(f"replay: {folder}: {error.strerror}") from None
    if not recordings:
        raise ValueError(f"replay: {folder}: there is no recording in it")
    return Replay(recordings, settings, store, deployments, file)


def is_played(recording: Recording, settings: Settings) -> bool:
    """Whether *recording* answers calls to an emulator of these *settings*."""
    if recording.authorised is False or recording.broken:
        return False
    if recording.response and recording.response.status not in STATUSES:
        return False
    names = vars(settings)
    return all(names.get(name) == value for name, value in recording.settings.items())


def hosted_target(url: str) -> str:
    """The path and query under which this server hosts the picture that a recording has at *url*.
    All its hosted pictures lie under one prefix, which OpenAI's and Azure's have already."""
    parts = urlsplit(url)
    path = parts.path or "/"
    path = path if path.startswith(DOWNLOAD_PREFIX) else DOWNLOAD_PREFIX.rstrip("/") + path
    return f"{path}?{parts.query}" if parts.query else path


def _hosted(recordings: Sequence[Recording]) -> Iterator[tuple[str, HostedRecording]]:
    """The downloads of *recordings* by their paths on this server."""
    for place, recording in enumerate(recordings):
        for number, download in enumerate(recording.downloads):
            path = unquote(hosted_target(download.url).partition("?")[0])
            yield path, HostedRecording(place, number)

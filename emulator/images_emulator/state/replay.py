"""Replay: the recordings that answer calls, and whether each was played."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.connection import Connection
from images_emulator.imaging.decode_limits import DecodeLimits
from images_emulator.imaging.image_loader import PillowImageLoader
from images_emulator.recordings.compared_call import ComparedCall, Resolver
from images_emulator.recordings.folder import read_folder, recording_paths
from images_emulator.recordings.recording import RecordedDownload, Recording
from images_emulator.recordings.recording_index import Miss, RecordingIndex, RecordingMatch
from images_emulator.recordings.recording_source import (
    FolderRecordings,
    MemoryRecordings,
    RecordingSource,
)
from images_emulator.setting_definition import Setting
from images_emulator.setting_values import OnMiss, ReplayMatch
from images_emulator.settings import Settings, all_settings
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.state.store import NUMBER_CODEC, Store

MAX_PRELOADED_RECORDINGS: Final = 500
"""The most recordings that are read before the server starts, and kept. The recordings of a larger
folder are read while the server starts, without their answers."""

RETRY_SECONDS: Final = 1.0
"""Seconds for which recordings that could not be read for a moment are not read again. Calls come
meanwhile, and a reading may take as long."""


class _Play(NamedTuple):
    """The quota of the recording at a *position*: the recording is played once in its order. *key*
    is the key of its counter, which all processes of a store have for the file."""

    key: str
    position: int
    after: int = 0
    times: int | None = 1
    probability: float = 1
    seed: str = ""


class RecordedPicture(NamedTuple):
    """A hosted picture: the *position* of its recording in the folder, and its
    *download_index* among the downloads of that recording."""

    position: int
    download_index: int


class PendingRecording:
    """The recording of a call that is forwarded, from the arrival of the call until it is kept, or
    it is known that none will be. *group* is that of `group_of`. A call in process has no
    *connection*."""

    def __init__(self, group: Hashable, connection: Connection | None) -> None:
        self.group = group
        self._connection = connection
        self.is_answered = False
        """Whether all bytes of the answer have left, or are about to."""
        self.end: Future[None] = Future()
        """Done when nothing is pending any more. Event loops of several threads may wait for
        it."""

    @property
    def is_over_for_client(self) -> bool:
        """Whether the client has its answer or has left. It may send the same call again then."""
        left = self._connection is not None and self._connection.is_closing()
        return self.is_answered or left


class _SharedIndex:
    """The index that finds recordings. Several namespaces share it."""

    def __init__(self, resolver: Resolver) -> None:
        self.index = RecordingIndex(MemoryRecordings(), resolver)
        self.picture_by_target: dict[str, RecordedPicture] = {}
        """The hosted pictures by their targets at this server, and by their paths alone, since the
        query is often a signature. Where several have one path, it stands for the last of them."""
        self.with_pictures: set[int] = set()
        """The positions of the recordings that have hosted pictures."""
        self.is_prepared = False
        self.failure = ""
        self.retry_at = 0.0
        """The time, by `monotonic`, at which recordings that could not be read are read again."""
        self.prepare_lock = Lock()
        """Held while the recordings are read or added to."""
        self.save_lock = Lock()
        self.pending_recordings: set[PendingRecording] = set()

    def clear_hosted(self) -> None:
        """Drop what `note_hosted` has noted."""
        self.picture_by_target, self.with_pictures = {}, set()

    def note_hosted(self, position: int, recording: Recording) -> None:
        """Note the hosted pictures of *recording*, before a call can be answered by it."""
        for number, download in enumerate(recording.downloads):
            path, _, query = hosted_target(download.url).partition("?")
            path = unquote(path)
            picture = RecordedPicture(position, number)
            self.picture_by_target[path] = self.picture_by_target[f"{path}?{query}"] = picture
            self.with_pictures.add(position)


class Replay:
    """The recordings of a folder, and which were played since the last reset.

    *read* reads the recordings. It is called in `prepare`, before the first call is answered, and
    takes a second for 10,000 recordings. Any thread may call `prepare`.

    A recording is not played where its conditions differ from the emulator's: other *settings*, or
    a key that is not accepted. Of the recordings that match a call, the first one that was not
    played yet is played; when all were played, the last one. *deployments* are the deployments of
    Azure with their models. *read_file* gives the content of an uploaded file by its id.
    """

    def __init__(
        self,
        read: Callable[[], RecordingSource],
        settings: Settings,
        store: Store,
        deployments: Mapping[str, str],
        read_file: Callable[[str], bytes | None],
    ) -> None:
        self._loader = _loader(read_file, settings)
        self.resolver = Resolver(deployments, self._loader)
        """Finds the requests of the recordings."""
        self.level = ReplayMatch(settings.replay_match)
        self.file_count = 0
        """The number of recordings in the folder at the start."""
        self._read = read
        self._settings = settings
        self._deployments = deployments
        self._bind(store)
        self._shared = _SharedIndex(self.resolver)

    def for_store(self, store: Store, read_file: Callable[[str], bytes | None]) -> Replay:
        """A replay of these recordings with its state in another *store*. Its calls may have the
        uploaded files of *read_file*. A recording that is added to either replay answers calls to
        both."""
        replay = copy(self)
        replay._loader = _loader(read_file, self._settings)
        replay.resolver = Resolver(self._deployments, replay._loader)
        replay._bind(store)
        return replay

    def _bind(self, store: Store) -> None:
        """Find the state in *store*."""
        self._run = store.register("replay", 0, NUMBER_CODEC)
        self._counters = store.counters("replay")

    @property
    def index(self) -> RecordingIndex:
        """The recordings that were read."""
        return self._shared.index

    @property
    def is_prepared(self) -> bool:
        """Whether the recordings were read, or have mistakes, so that reading again is useless."""
        return self._shared.is_prepared

    @property
    def failure(self) -> str:
        """Why the recordings could not be read; empty where they could."""
        return self._shared.failure

    @property
    def pending_recordings(self) -> set[PendingRecording]:
        """The recordings that will be added, unless something fails."""
        return self._shared.pending_recordings

    @property
    def save_lock(self) -> Lock:
        """Held while a file of a recording is made and added, and while the files that are new in
        the folder are looked for: they are not those of recordings that are about to be added."""
        return self._shared.save_lock

    @property
    def recordings(self) -> RecordingSource:
        """The recordings, in the order of the folder."""
        return self.index.recordings

    def resolver_of_call(self, read_file: Callable[[str], bytes | None]) -> Resolver:
        """The resolver of one call, which may name the uploaded files that *read_file* returns."""
        return Resolver(self._deployments, self._loader.for_call(read_file))

    def find(
        self,
        call: ComparedCall,
        resolve: Callable[[], ImageRequest | None],
        as_of: str | None,
    ) -> RecordingMatch | Miss:
        """The recordings that match; see `RecordingIndex.find`."""
        return self.index.find(call, resolve, self.level, as_of)

    def find_exact(self, call: ComparedCall, as_of: str | None) -> RecordingMatch | None:
        """The recordings of the very call; see `RecordingIndex.find_exact`."""
        return self.index.find_exact(call, as_of)

    def prepare(self) -> None:
        """Read the recordings, once. Raises OSError and ValueError where reading fails. Then there
        are no recordings, and `failure` is the message. Any error but ValueError may be transient:
        after `RETRY_SECONDS`, the next call of this method tries again."""
        with self._shared.prepare_lock:
            if self.is_prepared or monotonic() < self._shared.retry_at:
                return
            try:
                index = RecordingIndex(
                    self._read(),
                    self.resolver,
                    lambda each: may_be_played(each, self._settings),
                    self._shared.note_hosted,
                )
            except Exception as error:
                self._shared.clear_hosted()
                self._shared.failure = str(error)
                self._shared.is_prepared = isinstance(error, ValueError)
                self._shared.retry_at = monotonic() + RETRY_SECONDS
                raise
            self._shared.index, self._shared.failure = index, ""
            self._shared.is_prepared = True

    def add(self, recording: Recording) -> None:
        """Let *recording* answer calls from now on, too, unless its conditions differ. Any thread
        may call this. Raises ValueError where its request cannot be made of its files."""
        with self._shared.prepare_lock:
            self.index.add(recording)

    def has_pictures(self, position: int) -> bool:
        """Whether the answer of the recording at *position* names hosted pictures that were
        fetched."""
        return position in self._shared.with_pictures

    async def claim_next(self, positions: Sequence[int]) -> int:
        """The position of the recording among *positions* that is played now. Raises APIError where
        the store is away."""
        # A counter that begins anew has another key, as `Counters` of `store.py` wants it.
        run = self._run.value
        plays = (_Play(f"{run}-{self._file_key(position)}", position) for position in positions)
        granted = (await self._counters.claim(plays)).granted
        return granted[0].position if granted else positions[-1]

    def _file_key(self, position: int) -> str:
        """The name of the file of the recording at *position*, in a form that a counter's key can
        have. Another process, which read the folder at another time, has other positions."""
        # A name of a file may have any bytes.
        return quote(self.index.names[position], safe="", errors="surrogateescape")

    def picture_at(self, path: str, query: str) -> RecordedPicture | None:
        """The hosted picture at the *path* and *query* of this server, or else the last one at that
        path; None where there is none."""
        pictures = self._shared.picture_by_target
        return pictures.get(f"{path}?{query}") or pictures.get(path)

    def download(self, recorded_picture: RecordedPicture) -> RecordedDownload:
        """The hosted picture as it was fetched."""
        return self.recordings[recorded_picture.position].downloads[recorded_picture.download_index]

    async def reset(self) -> None:
        """Play each recording anew."""
        # First, so that no claim of the new run is lost. Claims of the old run have other keys.
        await self._counters.clear()
        await self._run.update(lambda run: run + 1)


def _loader(read_file: Callable[[str], bytes | None], settings: Settings) -> PillowImageLoader:
    return PillowImageLoader(read_file, lambda url: None, DecodeLimits.from_settings(settings))


def replay_of(
    settings: Settings,
    store: Store,
    deployments: Mapping[str, str],
    read_file: Callable[[str], bytes | None],
) -> Replay:
    """The recordings in the folder of the *settings*. Raises ValueError where the folder is missing
    or has no recordings, unless misses are recorded. Raises ValueError for mistakes in a folder of
    at most `MAX_PRELOADED_RECORDINGS` recordings."""
    assert settings.replay is not None
    folder = Path(settings.replay)
    may_be_empty = settings.on_miss == OnMiss.RECORD
    try:
        paths = recording_paths(folder)
    except OSError as error:
        if not (may_be_empty and isinstance(error, FileNotFoundError)):
            raise ValueError(f"replay: {folder}: {error.strerror}") from None
        paths = []
    if not (paths or may_be_empty):
        raise ValueError(f"replay: {folder}: there is no recording in it")
    is_small = len(paths) <= MAX_PRELOADED_RECORDINGS

    def read() -> RecordingSource:
        if not is_small:
            return FolderRecordings(paths)
        return MemoryRecordings(read_folder(folder) if paths else ())

    replay = Replay(read, settings, store, deployments, read_file)
    replay.file_count = len(paths)
    if is_small:
        replay.prepare()
    return replay


def may_be_played(recording: Recording, settings: Settings) -> bool:
    """Whether *recording* answers calls to an emulator of these *settings*."""
    if recording.authorised is False or recording.broken:
        return False
    return all(_is_value_of(settings, *each) for each in recording.settings.items())


def _is_value_of(settings: Settings, name: str, value: Any) -> bool:
    """Whether the setting *name* has this *value*, which is written as in JSON."""
    definition = _settings_by_name().get(name)
    if definition is None:
        return False
    with suppress(ValueError):
        value = definition.parse_toml(value)
    return bool(getattr(settings, name) == value)


@cache
def _settings_by_name() -> Mapping[str, Setting]:
    return {each.name: each for each in all_settings()}


def hosted_target(url: str) -> str:
    """The path and query at this server for the picture that a recording has at *url*. All hosted
    pictures of this server have one prefix, which the pictures of OpenAI and Azure have already."""
    parts = urlsplit(url)
    path = parts.path or "/"
    path = path if path.startswith(DOWNLOAD_PREFIX) else DOWNLOAD_PREFIX.rstrip("/") + path
    return f"{path}?{parts.query}" if parts.query else path

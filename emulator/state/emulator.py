"""All that an emulator remembers, in one object that is passed in and never global."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from emulator.clock import Clock
from emulator.contract.request import ImageRequest
from emulator.settings import Settings
from emulator.state.files import Files
from emulator.state.hosting import Hosting
from emulator.state.identity import random_id
from emulator.state.journal import Journal

Drawing = tuple[ImageRequest, int]
"""A request and the number of one of its pictures: what that picture can be drawn from."""


class Emulator:
    """One emulated account and its state. `reset()` is what a test needs between two runs."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = Clock()
        self.hosting: Hosting[Drawing] = Hosting(self.clock)
        self.files = Files(self.clock)
        self.journal = Journal(self.settings.journal_entries, self.settings.journal_bytes)
        self._studio: ThreadPoolExecutor | None = None
        self.organization = f"user-{random_id().lower()}"
        self.project = f"proj_{random_id()}"

    @property
    def studio(self) -> ThreadPoolExecutor:
        """The one thread that draws. Drawing holds the interpreter lock: a second thread would make
        it slower, and on the event loop it would hold up every other call."""
        if self._studio is None:
            self._studio = ThreadPoolExecutor(1, thread_name_prefix="studio")
        return self._studio

    def close(self) -> None:
        """Let the drawing thread go, and all that waits for it."""
        if self._studio:
            self._studio.shutdown(wait=False, cancel_futures=True)
            self._studio = None

    def reset(self) -> None:
        """Forget everything, and set the clock to the system's."""
        self.clock.reset()
        self.hosting.reset()
        self.files.reset()
        self.journal.reset()

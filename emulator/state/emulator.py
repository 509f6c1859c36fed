"""All that an emulator remembers, in one object that is passed in and never global."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from emulator.clock import Clock
from emulator.contract.models import UNKNOWN
from emulator.contract.request import Endpoint, ImageRequest
from emulator.contract.usage import usage
from emulator.imaging.synthesis import render
from emulator.settings import Settings
from emulator.state.files import Files
from emulator.state.hosting import Hosting
from emulator.state.identity import random_id
from emulator.state.journal import Journal
from emulator.state.limits import RateLimits
from emulator.state.scenario import Scenario

Drawing = tuple[ImageRequest, int]
"""A request and the number of one of its pictures: what that picture can be drawn from."""


class Emulator:
    """One emulated account and its state. `reset()` is what a test needs between two runs.

    Raises ValueError where the scenario of the settings has mistakes or is not there.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = self._given = settings or Settings()
        self.clock = Clock()
        self.hosting: Hosting[Drawing] = Hosting(self.clock)
        self.files = Files(self.clock)
        self.journal = Journal(self.settings.journal_entries, self.settings.journal_bytes)
        self._studio: ThreadPoolExecutor | None = None
        self._rehearsal: Future[None] | None = None
        self.organization = f"user-{random_id().lower()}"
        self.project = f"proj_{random_id()}"
        self.account = f"org-{random_id()}"
        self.scenario = Scenario(self.settings.scenario)
        self.rate_limits = RateLimits(self.settings.rate_limit, self.clock, self.account)

    @property
    def studio(self) -> ThreadPoolExecutor:
        """The one thread that draws. Drawing holds the interpreter lock: a second thread would make
        it slower, and on the event loop it would hold up every other call."""
        if self._studio is None:
            self._studio = ThreadPoolExecutor(1, thread_name_prefix="studio")
        return self._studio

    def warm(self) -> bool:
        """Whether all that the first picture needs is loaded; it is from the first time that
        somebody asks, in the thread that draws."""
        if self._rehearsal is None:
            self._rehearsal = self.studio.submit(_rehearse)
        return self._rehearsal.done()

    def configure(self, *, as_of: str | None = None, validation: str | None = None) -> None:
        """Change these settings until `reset`. Raises ValueError."""
        now = self.settings
        self.settings = replace(
            now,
            as_of=now.as_of if as_of is None else as_of,
            validation=now.validation if validation is None else validation,
        )

    def close(self) -> None:
        """Let the drawing thread go, and all that waits for it."""
        if self._studio:
            self._studio.shutdown(wait=False, cancel_futures=True)
            self._studio = None

    def reset(self) -> None:
        """Forget everything, and set the clock to the system's and the settings to the first."""
        self.settings = self._given
        self.clock.reset()
        self.hosting.reset()
        self.files.reset()
        self.journal.reset()
        self.scenario.reset()
        self.rate_limits.reset()


def _rehearse() -> None:
    """Draw and count once: fonts, encoders and the tokenizer are loaded at their first use."""
    request = ImageRequest(
        endpoint=Endpoint.GENERATIONS, model=UNKNOWN, prompt="ready", size=(64, 64)
    )
    render(request, 0)
    usage(request)

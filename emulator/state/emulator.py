"""All that an emulator remembers, in one object that is passed in and never global."""

from __future__ import annotations

from emulator.clock import Clock
from emulator.contract.request import ImageRequest
from emulator.settings import Settings
from emulator.state.hosting import Hosting, random_id

Drawing = tuple[ImageRequest, int]
"""A request and the number of one of its pictures: what that picture can be drawn from."""


class Emulator:
    """One emulated account and its state. `reset()` is what a test needs between two runs."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = Clock()
        self.hosting: Hosting[Drawing] = Hosting(self.clock)
        self.organization = f"user-{random_id().lower()}"
        self.project = f"proj_{random_id()}"

    def reset(self) -> None:
        """Forget everything, and set the clock to the system's."""
        self.clock.reset()
        self.hosting.reset()

"""All that an emulator remembers, in one object that is passed in and never global."""

from __future__ import annotations

from dataclasses import replace

from images_emulator.contract.models import MODELS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.memory import trim_memory
from images_emulator.lru_cache import LRUCache
from images_emulator.rendering.cores import spare_cores
from images_emulator.rendering.renderer import Renderer
from images_emulator.settings import Settings
from images_emulator.state.clock import Clock
from images_emulator.state.files import Files
from images_emulator.state.hosting import Hosting
from images_emulator.state.identity import random_id
from images_emulator.state.journal import Journal
from images_emulator.state.rate_limits import RateLimits
from images_emulator.state.scenario import Scenario

Drawing = tuple[ImageRequest, int]
"""A request and the number of one of its pictures: what that picture can be drawn from."""


class Emulator:
    """One emulated account and its state. `reset()` is what a test needs between two runs.

    Raises ValueError where the scenario of the settings has mistakes or is not there, or where a
    deployment's model is none.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = self._given = settings or Settings()
        self.deployments = dict(each.split("=", 1) for each in self.settings.deployment)
        """Azure's deployments and their models."""
        for name, model in self.deployments.items():
            if model not in MODELS:
                raise ValueError(f"deployment: '{name}' is to be '{model}', which is no model")
        self.clock = Clock()
        self.hosting: Hosting[Drawing] = Hosting(self.clock)
        self.files = Files(self.clock)
        helpers = min(self.settings.render_processes, spare_cores())
        self.renderer = Renderer(self.settings.cache, helpers)
        self.answers = LRUCache(self.settings.cache // 4)
        """Answers of this second, for calls that are repeated."""
        self.journal = Journal(self.settings.journal_entries, self.settings.journal_bytes)
        self.noticed: dict[str, bytes] = {}
        """What the log says once until a reset: the end of a model under its id, a hint at another
        path under itself."""
        self.organization = f"user-{random_id().lower()}"
        self.project = f"proj_{random_id()}"
        self.account = f"org-{random_id()}"
        self.scenario = Scenario(self.settings.scenario)
        self.rate_limits = RateLimits(self.settings.rate_limit, self.clock, self.account)

    def configure(self, *, as_of: str | None = None, validation: str | None = None) -> None:
        """Change these settings until `reset`. Raises ValueError."""
        now = self.settings
        self.settings = replace(
            now,
            as_of=now.as_of if as_of is None else as_of,
            validation=now.validation if validation is None else validation,
        )

    def close(self) -> None:
        """Let those who draw go, and all that waits for them."""
        self.renderer.close()

    def reset(self) -> None:
        """Forget everything, and set the clock to the system's and the settings to the first."""
        # Others, though they are the same: what was answered before is no answer any more.
        self.settings = replace(self._given)
        self.clock.reset()
        self.hosting.reset()
        self.files.reset()
        self.answers.clear()
        self.journal.reset()
        self.scenario.reset()
        self.rate_limits.reset()
        self.noticed.clear()
        trim_memory()

"""The emulator's state in the admin API: settings, clock, hosting and scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.credentials import HIDDEN
from images_emulator.setting_definition import Setting
from images_emulator.setting_values import without_credentials
from images_emulator.settings import Settings, all_settings
from images_emulator.state.emulator import Emulator
from images_emulator.state.scenario import UnmetStep


@dataclass(frozen=True, slots=True)
class ClockState:
    """The emulator's time. *offset_seconds* is how far it is ahead of the machine's; 0 where the
    clock was never moved or frozen."""

    now: datetime
    frozen: bool
    offset_seconds: float


@dataclass(frozen=True, slots=True)
class HostingState:
    """How many hosted pictures can be downloaded, and when the first of their URLs expires."""

    pictures: int
    next_expiry: datetime | None


@dataclass(frozen=True, slots=True)
class StepState:
    """A step of the scenario, which has either a *fault* or an *answer*. *title* is its *name* with
    the name of the fault or the answer.

    *fault*, *match* and *answer* are as they are written in a scenario, with the API key redacted.
    In place of its files *answer* has their names, SHA-256, bytes, sizes and formats. *met* is the
    number of calls that have met the step. Once it is *spent*, no more do.
    """

    id: str
    name: str
    title: str
    injected: bool
    fault: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None
    match: Mapping[str, Any]
    times: int | None
    after: int
    probability: float
    seed: int
    met: int
    spent: bool


@dataclass(frozen=True, slots=True)
class ScenarioState:
    """The steps: the injected ones, those of the scenario, and the last injected ones that are
    spent."""

    steps: list[StepState]


@dataclass(frozen=True, slots=True)
class InjectedState(ScenarioState):
    """The steps, and *injected*, the id of the new one among them."""

    injected: str


@dataclass(frozen=True, slots=True)
class UnmetSteps:
    """The steps that still wait for a call, in their order."""

    steps: list[UnmetStep]


def settings_json(emulator: Emulator) -> dict[str, Any]:
    """The settings by name, secrets redacted. `changed` names those that differ from the start."""
    values = {each.name: _public_value(each, emulator.settings) for each in all_settings()}
    return {**values, "changed": [*emulator.changed_settings]}


def _public_value(setting: Setting, settings: Settings) -> Any:
    """The value of *setting*, without secrets. Where a secret has several values, for several
    callers, each is masked as in error messages, so that they can be told apart. A secret with one
    value is hidden. The URL of the store has no password."""
    value = getattr(settings, setting.name)
    if setting.name == "store" and value is not None:
        return without_credentials(value)
    if not setting.secret or value is None:
        return value
    return [mask_key(each) for each in value] if setting.repeatable else HIDDEN


def clock_state(emulator: Emulator) -> ClockState:
    """The clock, as the admin API shows it."""
    clock = emulator.clock
    return ClockState(clock.now(), clock.frozen, round(clock.offset.total_seconds(), 3))


def scenario_state(emulator: Emulator) -> ScenarioState:
    """The steps of the scenario. Blocks; see `Store.run`."""
    steps = emulator.scenario.as_json()["steps"]
    return ScenarioState([StepState(**step) for step in steps])


def unmet_steps(emulator: Emulator) -> UnmetSteps:
    """The steps that still wait for a call. Blocks; see `Store.run`."""
    return UnmetSteps(emulator.scenario.unmet())


async def read_hosting_state(emulator: Emulator) -> HostingState:
    """The hosted pictures that have not expired."""
    expiries = await emulator.hosting.expiries()
    return HostingState(len(expiries), min(expiries, default=None))

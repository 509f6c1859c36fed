"""The settings that may change while a server runs, until a reset. This module lists them for the
admin API, the methods `configure`, the pytest plugin's marker and the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

from images_emulator.spelling import suggestion

if TYPE_CHECKING:
    from images_emulator.settings import Settings


class SettingChanges(TypedDict, total=False):
    """New values of settings. Each is a field of `Settings` that cannot be None, so None leaves a
    setting unchanged."""

    as_of: str | None
    validation: str | None


CHANGEABLE: Final = tuple(SettingChanges.__annotations__)
"""The names of the settings in `SettingChanges`."""


def new_values(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values of *changes* that are not None, by their names. Raises TypeError for any name that
    is not in `CHANGEABLE`."""
    for name in changes:
        if name not in CHANGEABLE:
            meant = suggestion(name, CHANGEABLE, quote="'")
            raise TypeError(f"got an unexpected keyword argument '{name}'{meant}")
    return {name: value for name, value in changes.items() if value is not None}


def changeable_values(settings: Settings) -> dict[str, Any]:
    """The values of the settings in `CHANGEABLE`, by their names."""
    return {name: getattr(settings, name) for name in CHANGEABLE}

"""The settings that may change while a server runs, until a reset. The admin API, the methods
`configure`, the marker of the pytest plugin and the store take them from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

from images_emulator.spelling import suggestion

if TYPE_CHECKING:
    from images_emulator.settings import Settings


class SettingChanges(TypedDict, total=False):
    """New values of settings, each a field of `Settings` that cannot be None: None leaves one as it
    is."""

    as_of: str | None
    validation: str | None


CHANGEABLE: Final = tuple(SettingChanges.__annotations__)
"""The names of the settings in `SettingChanges`."""


def new_values(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values of *changes* that are not None, by their names. Raises TypeError for the name of
    another setting, or of none."""
    for name in changes:
        if name not in CHANGEABLE:
            meant = suggestion(name, CHANGEABLE, quote="'")
            raise TypeError(f"got an unexpected keyword argument '{name}'{meant}")
    return {name: value for name, value in changes.items() if value is not None}


def changeable_values(settings: Settings) -> dict[str, Any]:
    """The values that the settings of `CHANGEABLE` have, by their names."""
    return {name: getattr(settings, name) for name in CHANGEABLE}

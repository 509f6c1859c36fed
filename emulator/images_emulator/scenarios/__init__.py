"""Ready scenarios of faults: TOML files, found by their names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType


@cache
def ready_scenarios() -> Mapping[str, Path]:
    """The files of the ready scenarios by their names, such as `outage`, in the order of the
    alphabet."""
    files = sorted(Path(__file__).parent.glob("*.toml"))
    return MappingProxyType({file.stem: file for file in files})


def scenario_file(name: str | Path, folder: Path = Path()) -> str:
    """The path of the scenario *name*, seen from *folder*: that of a ready one, unless there is a
    file of that name."""
    ready, file = ready_scenarios().get(str(name)), folder / name
    return str(ready if ready and not file.is_file() else file)

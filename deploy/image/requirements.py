"""Prints the libraries of the package and of its extras, one a line: requirements.py EXTRA..."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(r for name in sys.argv[1:] for r in extras[name])]:
    sys.stdout.write(f"{requirement}\n")

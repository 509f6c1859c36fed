"""Prints the notes of a release, its section of `CHANGELOG.md`: `release_notes.py v0.1.0`.

It ends with a sentence where the tag is not the version of `pyproject.toml`, and where the
changelog has nothing about it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def release_notes(tag: str, version: str, changelog: str) -> str:
    """The text below the heading of the version *tag* in *changelog*. *version* is that of the
    package. Raises ValueError."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, but pyproject.toml has version {version}")
    heading = re.compile(rf"^## \[?{re.escape(version)}\]?(?: .*)?$", re.MULTILINE)
    found = heading.search(changelog)
    if not found:
        raise ValueError(f"CHANGELOG.md has no heading '## {version}'")
    text = re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not text:
        raise ValueError(f"CHANGELOG.md says nothing about {version}")
    return f"{text}\n"


def main(tag: str, root: Path = ROOT) -> None:
    """Print the notes of *tag*, from the files in *root*."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        sys.stdout.write(release_notes(tag, project["version"], changelog))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1])

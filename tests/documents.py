"""The pages for readers: the README and `docs/`, with their code blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
PAGES: Final = (README, *sorted((ROOT / "docs").rglob("*.md")))

FENCE: Final = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A code block. *output* is the block without title that follows at once, in `text`: what the
    code prints."""

    page: str
    line: int
    language: str
    title: str | None
    text: str
    output: str | None


def name_of(page: Path) -> str:
    """The page's path from the root, which names its tests."""
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> Iterator[Block]:
    """The code blocks of *page*; the outputs of others are none of their own."""
    text = page.read_text()
    fences = [*FENCE.finditer(text)]
    assert len(fences) * 2 == len(re.findall(r"^ *```", text, re.MULTILINE)), (
        f"{page}: an odd fence"
    )
    outputs: set[int] = set()
    for at, fence in enumerate(fences):
        if at in outputs:
            continue
        output = None
        following = fences[at + 1] if at + 1 < len(fences) else None
        if following and (following["language"], following["title"]) == ("text", None):
            between = text[fence.end() : following.start()]
            if not between.strip():
                output = following["text"]
                outputs.add(at + 1)
        line = text.count("\n", 0, fence.start("text")) + 1
        yield Block(name_of(page), line, fence["language"], fence["title"], fence["text"], output)


BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]


def links_of(page: Path) -> Iterator[str]:
    """The targets of the links and pictures in *page*, outside of its code."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    for link in LINK.finditer(prose):
        yield link[1] or link[2]


def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings in *page*, as a site and a repository make them."""
    prose = FENCE.sub("", page.read_text())
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(prose)
    }

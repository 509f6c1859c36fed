"""Makes the fonts in `emulator/images_emulator/imaging/fonts` anew from a folder that has the
sources in it, which the README there names: `python .ci/fonts.py FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from fontTools.subset import Options, Subsetter, load_font, save_font
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from fontTools.ttLib.tables.ttProgram import Program

from images_emulator.imaging.typefaces import (
    ALSO_EMOJI,
    COVERED_CODE_POINTS,
    EMOJI,
    FIRST_GLYPH,
    FONT_FOLDER,
    NEEDS_SHAPING,
)

SOURCES: Final = {
    "Droid": "DroidSansFallback.ttf",
    "NotoEmoji": "NotoEmoji_400Regular.ttf",
    "Noto": "NotoSans{}-Regular.ttf",
}
HAN: Final = {"gb2312": range(0xB0, 0xF8), "big5": range(0xA4, 0xC7), "euc_jp": range(0xB0, 0xF5)}
"""Lead bytes: all of GB 2312 and JIS X 0208, the frequent half of Big5."""


UNHINTED: Final = bytes.fromhex("b801ff 85 b004 8d b000 21")
"""A program that switches dropout control on, and then pushes and pops a zero: with seven bytes or
fewer FreeType would hint every glyph itself, which takes thrice the time and varies by version."""


def han() -> set[int]:
    """The Han of everyday Chinese, in both its forms, and Japanese."""
    codes = set()
    for codec, leads in HAN.items():
        for lead in leads:
            for trail in range(0x40, 0xFF):
                text = bytes((lead, trail)).decode(codec, "ignore")
                codes |= {ord(text)} if len(text) == 1 else set()
    return {code for code in codes if code >= 0x4E00}


def source_of(name: str) -> str:
    script = name.removesuffix(".ttf").removeprefix("NotoSans")
    return SOURCES.get(script.removesuffix("SansFallback"), SOURCES["Noto"].format(script))


def wanted(name: str, source: TTFont) -> set[int]:
    codes = set(source.getBestCmap())
    if name.startswith("Droid"):
        ranges = [range(0x3000, 0x3400), range(0xAC00, 0xD7A4), range(0xFE30, 0xFFF0), han()]
        return codes & set().union(*ranges)
    if name == EMOJI:
        return codes - {0, 0xD}
    return {code for code in codes if code > 0x36F}


def made(source: Path, name: str, *, shaped: bool) -> TTFont:
    """The part of *source* that is kept. Of a font to be shaped, each glyph gets a code too."""
    options = Options(
        hinting=False,
        glyph_names=False,
        name_IDs=[0, 1, 2, 13, 14],
        layout_features=Options._layout_features_default if shaped else [],
        drop_tables=[*Options._drop_tables_default, "STAT", "meta", "vhea", "vmtx"],
    )
    font = load_font(str(source), options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=wanted(name, font))
    subsetter.subset(font)
    font["prep"] = newTable("prep")
    font["prep"].program = Program()
    font["prep"].program.fromBytecode(UNHINTED)
    if shaped:
        table = CmapSubtable.newSubtable(12)
        table.platformID, table.platEncID, table.language = 3, 10, 0
        glyphs = {FIRST_GLYPH + place: glyph for place, glyph in enumerate(font.getGlyphOrder())}
        table.cmap = {**font.getBestCmap(), **glyphs}
        font["cmap"].tables = [table]
    save_font(font, str(FONT_FOLDER / name), options)
    return font


def coverage() -> bytes:
    """For each code point the number of its font in the book, or 0."""
    table = bytearray(COVERED_CODE_POINTS)
    for place, name in enumerate(NEEDS_SHAPING, 1):
        for code in TTFont(FONT_FOLDER / name).getBestCmap():
            if 0x20 < code < COVERED_CODE_POINTS:
                if not table[code]:
                    table[code] = place
                elif name == EMOJI:
                    table[code] |= ALSO_EMOJI
    return bytes(table)


def main(folder: Path) -> None:
    for name, shaped in NEEDS_SHAPING.items():
        if name.startswith("DejaVu"):
            continue
        (source,) = set(folder.rglob(source_of(name)))
        made(source, name, shaped=shaped)
    (FONT_FOLDER / "coverage").write_bytes(coverage())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

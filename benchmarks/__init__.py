"""Benchmarks. Each figure is a ratio of two measurements of one round; the rounds of a run are
interleaved, so that a slow minute of the machine slows both.

    python -m benchmarks              all figures, about twenty minutes
    python -m benchmarks --only 3,5   some of them
    python -m benchmarks --quick      all figures from one short round, which judges nothing
    python -m benchmarks.contact_sheet OUT    a contact sheet: images to judge by eye

They run on Linux, and on macOS without figures 9, 10, 15 and 18. `figures` is the table, `measure`
runs the rounds, and the modules `bench_…` measure. `bare`, `plain` and `hello` are the servers that
the emulator is compared with. `subject` is the only module that calls into the emulator's code.
"""

"""Reliability: a table of promises, each with a scenario that tries to break it on the real server,
in a process of its own, and with the figures of that.

    python -m reliability                     all promises, and the page of the docs
    python -m reliability --only load,streams some of them
    python -m reliability --minutes 10        longer, where a promise lasts a time
    python -m reliability --quick             small numbers, about a minute

`promises` is the table, `promise` has its shapes, `report` the text and the page. It runs on Linux.
"""

"""The figures: which measurements, and which goal. A MB is a million bytes, a KB a thousand."""

from __future__ import annotations

from typing import Final

from benchmarks.figure import Figure

FIGURES: Final = (
    Figure(
        number=1,
        words="encode a 1024² RGB PNG ÷ Pillow's default save of the same picture",
        over="encode 1024 s",
        under="save 1024 s",
        most=0.15,
    ),
    Figure(
        number=1,
        words="the same at 3840×2160",
        over="encode 4K s",
        under="save 4K s",
        most=0.15,
    ),
    Figure(
        number=1,
        words="the same at 1024², by the fallback encoder",
        over="encode 1024 fallback s",
        under="save 1024 s",
        most=0.40,
    ),
    Figure(
        number=2,
        words="draw and encode 1024² ÷ draw and Pillow's default save",
        over="render 1024 s",
        under="draw and save 1024 s",
        most=0.20,
    ),
    Figure(
        number=2,
        words="the same at 3840×2160",
        over="render 4K s",
        under="draw and save 4K s",
        most=0.15,
    ),
    Figure(
        number=3,
        words="unique 1024² pictures per second, 8 clients ÷ the renderer in a plain loop",
        over="emulator 1024 /s",
        under="loop 1024 /s",
        least=0.65,
    ),
    Figure(
        number=3,
        words="the same at 3840×2160",
        over="emulator 4K /s",
        under="loop 4K /s",
        least=0.75,
    ),
    Figure(
        number=4,
        words="unique 1024² pictures per second, 8 clients ÷ plain FastAPI and Pillow",
        over="emulator 1024 /s",
        under="plain 1024 /s",
        least=3,
    ),
    Figure(
        number=4,
        words="the same at 3840×2160",
        over="emulator 4K /s",
        under="plain 4K /s",
        least=10,
    ),
    Figure(
        number=5,
        words="repeated 1024² calls per second, 32 clients ÷ bare uvicorn with the same bytes",
        over="emulator repeated 1024 /s",
        under="bare 1024 /s",
        least=0.25,
    ),
    Figure(
        number=5,
        words="the same at 256²",
        over="emulator repeated 256 /s",
        under="bare 256 /s",
        least=0.35,
    ),
    Figure(
        number=6,
        words="unique 1024² calls, 32 clients: p99 ÷ p50",
        over="emulator 1024 p99 s",
        under="emulator 1024 p50 s",
        most=1.5,
    ),
    Figure(
        number=6,
        words="health p99 while 8 clients wait for unique 1024² pictures",
        over="health p99 ms",
        most=10,
        unit="ms",
    ),
    Figure(
        number=7,
        words="repeated streams of 4 events per second, 8 clients ÷ bare uvicorn, as one body",
        over="emulator stream /s",
        under="bare stream /s",
        least=0.20,
    ),
    Figure(
        number=8,
        words="process start to first 200 ÷ FastAPI hello world started the same way",
        over="emulator first 200 s",
        under="hello first 200 s",
        most=1.15,
    ),
    Figure(
        number=8,
        words="process start to first 1024² picture ÷ the same hello world",
        over="emulator first picture s",
        under="hello first 200 s",
        most=0.75,
    ),
    Figure(number=9, words="resident when ready", over="ready MB", most=60, unit="MB"),
    Figure(
        number=9,
        words="proportional set after 10,000 unique 1024² pictures",
        over="filled MB",
        most=100,
        unit="MB",
    ),
    Figure(
        number=9,
        words="growth of that per 1,000 pictures more",
        over="growth MB",
        most=1,
        unit="MB",
    ),
    Figure(
        number=9,
        words="proportional set at its peak, 32 clients at 3840×2160",
        over="peak 4K MB",
        most=200,
        unit="MB",
    ),
    *(
        figure
        for streams, latest in ((1_000, 0.25), (5_000, 1))
        for figure in (
            Figure(
                number=10,
                words=f"{streams:,} slow streams × 4 events: lost",
                over=f"{streams} lost",
                most=0,
            ),
            Figure(
                number=10,
                words=f"{streams:,} slow streams: p99 of their time, above that of one alone",
                over=f"{streams} late s",
                most=latest,
                unit="s",
            ),
        )
    ),
    Figure(
        number=10,
        words="1,000 slow streams: memory for each",
        over="1000 each KB",
        most=40,
        unit="KB",
    ),
    Figure(
        number=10,
        words="5,000 slow streams: proportional set at its peak",
        over="5000 peak MB",
        most=250,
        unit="MB",
    ),
    Figure(
        number=11,
        words="CPU of a stream with 3 partial images, 1024² ÷ CPU of one picture",
        over="progress 1024 CPU s",
        under="render 1024 CPU s",
        most=2.2,
    ),
    Figure(
        number=12,
        words="edit a 1024² photograph with mask ÷ the same through Pillow's level 1",
        over="edit 1024 s",
        under="edit and save 1024 s",
        most=0.55,
    ),
    Figure(
        number=13,
        words="read and parse an upload of 50 MB ÷ drain it",
        over="emulator upload s",
        under="bare upload s",
        most=6,
    ),
    Figure(
        number=14,
        words="repeated 256² calls per second under a scenario of 1,000 steps ÷ of 10 steps",
        over="many steps /s",
        under="few steps /s",
        least=0.9,
    ),
    Figure(
        number=14,
        words="unique 1024² pictures per second under these 1,000 steps ÷ without a scenario",
        over="many unique /s",
        under="none unique /s",
        least=0.9,
    ),
    Figure(
        number=15,
        words="what 100,000 calls add to the memory of a server with a journal of 16 MB",
        over="journal MB",
        most=20,
        unit="MB",
    ),
    *(
        Figure(
            number=16,
            words=f"health's longest wait beside {words}",
            over=f"health beside {name} ms",
            most=100,
            unit="ms",
        )
        for name, words in (
            ("edit", "an edit of 16 pictures of 50 MB"),
            ("form", "a form of 240 MB"),
            ("JSON", "21 MB of JSON, which is an array of empty objects"),
        )
    ),
    Figure(
        number=17,
        words="unique 1024² pictures per second beside uploads of a JPEG of 1,000 scans ÷ alone",
        over="beside scans 1024 /s",
        under="alone 1024 /s",
        least=0.8,
    ),
    *(
        figure
        for load, journal, most, words in (
            ("forgiven", 2, 50, "25 lenient edits of 2000²"),
            ("structure", 64, 150, "21 MB of JSON, 7 million objects, with and without a key"),
            ("user", 64, 150, "150 calls with a `user` of 4 MB"),
        )
        for figure in (
            Figure(
                number=18,
                words=f"resident more than before, with a journal of {journal} MB: {words}",
                over=f"{load} held MB",
                most=most,
                unit="MB",
            ),
            Figure(
                number=18,
                words="the same after a reset",
                over=f"{load} left MB",
                most=50,
                unit="MB",
            ),
        )
    ),
    Figure(
        number=19,
        words="process start to first 1024² picture ÷ aimock's first answer, from a fixture",
        over="emulator first answer s",
        under="aimock first answer s",
        most=1.0,
    ),
    Figure(
        number=20,
        words="the page with 5,000 calls in the journal: from its address to its first rows",
        over="page painted s",
        most=1,
        unit="s",
    ),
    Figure(
        number=20,
        words="from the end of an answer to its picture on an open page",
        over="page picture ms",
        most=300,
        unit="ms",
    ),
    *(
        Figure(
            number=20,
            words=f"time of a {words} call beside an open page, whose browser has its own core, "
            "÷ without one",
            over=f"{name} beside page ms",
            under=f"{name} alone ms",
            most=1.05,
        )
        for name, words in (("1024", "unique 1024²"), ("repeated", "repeated 256²"))
    ),
    Figure(
        number=20,
        words="cores that the browser takes for an open page while these calls come",
        over="page cores",
        most=0.1,
    ),
    Figure(
        number=21,
        words="process start to first 200 with 10,000 recordings to replay",
        over="replay first 200 s",
        most=1,
        unit="s",
    ),
    Figure(
        number=21,
        words="process start to the first recorded answer, of these 10,000",
        over="replay first recorded s",
        most=2,
        unit="s",
    ),
    Figure(
        number=21,
        words="a recorded 1024² answer, repeated, per second ÷ the same call repeated, emulated",
        over="recorded /s",
        under="emulated /s",
        least=0.5,
    ),
    Figure(
        number=22,
        words="median time of a repeated 256² call, 1 client: state in Redis ÷ in memory",
        over="store repeated 256 µs",
        under="memory repeated 256 µs",
        most=2,
    ),
    Figure(
        number=22,
        words="such calls per second, 32 clients: state in Redis ÷ in memory",
        over="store repeated 256 by 32 /s",
        under="memory repeated 256 by 32 /s",
        least=0.5,
    ),
    Figure(
        number=22,
        words="CPU time of the server for such a call, 32 clients: state in Redis ÷ in memory",
        over="store CPU µs",
        under="memory CPU µs",
        most=2,
    ),
    Figure(
        number=22,
        words="times that such a call asks Redis",
        over="store round trips",
        most=3,
    ),
    Figure(
        number=22,
        words="bytes that such a call sends to Redis",
        over="store KB",
        most=6,
        unit="KB",
    ),
    Figure(
        number=23,
        words="unique 1024² pictures per second, 2 workers ÷ 2 processes that render in a loop, on "
        "the same cores",
        over="2 workers 1024 /s",
        under="2 loops 1024 /s",
        least=0.9,
    ),
    Figure(
        number=23,
        words="CPU time of workers, Redis and client for such a picture ÷ of such a loop",
        over="all CPU ms",
        under="loop CPU ms",
        most=1.11,
    ),
    Figure(
        number=23,
        words="repeated 256² calls per second, 2 workers ÷ 1 server on the same Redis",
        over="2 workers repeated 256 /s",
        under="1 server repeated 256 /s",
        least=1,
    ),
)

"""Figures 1, 2, 11, 12: drawing and encoding, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from time import process_time
from typing import Any, Final

from benchmarks import subject
from benchmarks.calls import LARGE, STREAM, USUAL, fresh, numbered
from benchmarks.readings import Bench, Effort, Probe, probe, timed
from images_emulator.contract.operations import EDITS
from images_emulator.contract.request import ImageRequest

_EDIT: Final = {
    name: value for name, value in USUAL.items() if name in ("model", "prompt", "size", "quality")
}


def _of_size(name: str, fields: Mapping[str, Any], seconds: float) -> Iterator[Probe]:
    request = subject.request_of(fields)
    image = subject.draw(request)
    colours = image.convert("RGB")
    requests = subject.requests_of(fields)

    def take(reading: str, job: Callable[[], object]) -> Probe:
        return probe(reading, lambda: timed(job, seconds))

    yield take(f"encode {name} s", lambda: subject.encode(request, image))
    yield take(f"save {name} s", lambda: subject.saved(colours))
    yield take(f"encode {name} fallback s", lambda: subject.encode_slowly(image))
    yield take(f"render {name} s", lambda: subject.render(next(requests)))
    yield take(f"draw and save {name} s", lambda: subject.saved(subject.draw(next(requests))))


def _processor_time(seconds: float) -> Iterator[Probe]:
    for name, fields, job in (
        ("render 1024 CPU s", USUAL, subject.render),
        ("progress 1024 CPU s", STREAM, subject.render_partials),
    ):
        requests = subject.requests_of(fields)

        def take(job: Callable[[Any], object] = job, requests: Iterator[Any] = requests) -> float:
            return timed(lambda: job(next(requests)), seconds, process_time)

        yield probe(name, take)


def _edits(seconds: float) -> Iterator[Probe]:
    """From the bytes of the uploads to those of the answer, so with their decoding."""
    fields = {**_EDIT, "image": subject.photograph(1024), "mask": subject.hole(1024)}
    numbers = count(fresh())

    def take(reading: str, finish: Callable[[ImageRequest], object]) -> Probe:
        def job() -> None:
            told = {**fields, "prompt": numbered(next(numbers))}
            finish(subject.request_of(told, EDITS))

        return probe(reading, lambda: timed(job, seconds))

    yield take("edit 1024 s", subject.render)
    yield take(
        "edit and save 1024 s",
        lambda request: subject.saved(subject.edit(request), compress_level=1),
    )


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    yield [
        *_of_size("1024", USUAL, effort.seconds(0.4)),
        *_of_size("4K", LARGE, effort.seconds(0.8)),
        *_processor_time(effort.seconds(0.4)),
        *_edits(effort.seconds(0.6)),
    ]


PICTURES: Final = Bench((1, 2, 11, 12), _open)

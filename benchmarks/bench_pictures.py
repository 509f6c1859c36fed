"""Figures 1, 2, 11, 12: drawing and encoding, in the process of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from time import process_time
from typing import Any, Final

from benchmarks import subject
from benchmarks.calls import LARGE, STREAM, USUAL, fresh, numbered
from benchmarks.measure import Bench, Effort, Probe, median_time, probe
from images_emulator.contract.operations import EDITS
from images_emulator.contract.request import ImageRequest

_EDIT: Final = {
    name: value for name, value in USUAL.items() if name in ("model", "prompt", "size", "quality")
}


def _of_size(size: str, fields: Mapping[str, Any], seconds: float) -> Iterator[Probe]:
    request = subject.request_of(fields)
    image = subject.draw(request)
    colours = image.convert("RGB")
    requests = subject.requests_of(fields)

    def measured(name: str, job: Callable[[], object]) -> Probe:
        return probe(name, lambda: median_time(job, seconds))

    yield measured(f"encode {size} s", lambda: subject.encode(request, image))
    yield measured(f"save {size} s", lambda: subject.saved(colours))
    yield measured(f"encode {size} fallback s", lambda: subject.encode_slowly(image))
    yield measured(f"render {size} s", lambda: subject.render(next(requests)))
    yield measured(f"draw and save {size} s", lambda: subject.saved(subject.draw(next(requests))))


def _cpu_time(seconds: float) -> Iterator[Probe]:
    for name, fields, job in (
        ("render 1024 CPU s", USUAL, subject.render),
        ("progress 1024 CPU s", STREAM, subject.render_partials),
    ):
        requests = subject.requests_of(fields)

        def measure(
            job: Callable[[Any], object] = job, requests: Iterator[Any] = requests
        ) -> float:
            return median_time(lambda: job(next(requests)), seconds, process_time)

        yield probe(name, measure)


def _edits(seconds: float) -> Iterator[Probe]:
    """Edits from the bytes of the uploads to those of the answer, decoding included."""
    fields = {**_EDIT, "image": subject.photograph(1024), "mask": subject.round_mask(1024)}
    numbers = count(fresh())

    def measured(name: str, finish: Callable[[ImageRequest], object]) -> Probe:
        def job() -> None:
            values = {**fields, "prompt": numbered(next(numbers))}
            finish(subject.request_of(values, EDITS))

        return probe(name, lambda: median_time(job, seconds))

    yield measured("edit 1024 s", subject.render)
    yield measured(
        "edit and save 1024 s",
        lambda request: subject.saved(subject.edit(request), compress_level=1),
    )


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    yield [
        *_of_size("1024", USUAL, effort.seconds(0.4)),
        *_of_size("4K", LARGE, effort.seconds(0.8)),
        *_cpu_time(effort.seconds(0.4)),
        *_edits(effort.seconds(0.6)),
    ]


PICTURES: Final = Bench((1, 2, 11, 12), _open)

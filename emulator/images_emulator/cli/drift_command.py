"""`images-emulator drift`: compares the answers of a server with the recorded ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import (
    add_upstream_key,
    missing_upstream_key_sentence,
    read_settings,
    upstream_key,
)
from images_emulator.cli.terminal import printable

if TYPE_CHECKING:
    from images_emulator.recordings.drift import DriftResult
    from images_emulator.recordings.recording import Recording

USAGE: Final = "DIR --upstream URL [OPTIONS]"

DESCRIPTION: Final = """\
Send the requests of a folder of exchanges to a server, and print where its
answers differ from the recorded ones: in status, keys, types, codes and
messages. Ids, times, pictures and URLs may differ. The exit status is 0 if
every answer was the same, 2 if there is no key to send or if the only
difference is that the key is refused, and 1 otherwise, also where every
exchange was skipped."""

KEY_REFUSED_STATUS: Final = 2
"""The exit status where the only difference is that the key is refused. Wrong arguments, such as a
missing key, have the same status."""

EXAMPLES: Final = """\
  images-emulator drift exchanges --upstream https://api.openai.com/v1
  images-emulator drift exchanges --upstream "$URL" --only '*edits*'
  images-emulator drift exchanges --upstream "$URL" --costs --format json"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="Folder of exchanges")
    parser.add_argument(
        "--upstream", metavar="URL", required=True, help="The server, as a client's base URL"
    )
    add_upstream_key(parser)
    parser.add_argument(
        "--costs", action="store_true", help="Also send what costs money: calls that make pictures"
    )
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        action="append",
        default=[],
        help="Only exchanges whose file names match, such as '*edits*'",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=300, help="Wait for a byte (300)"
    )
    parser.add_argument(
        "--concurrency", metavar="NUMBER", type=int, default=4, help="Calls at the same time (4)"
    )


def run(
    *,
    folder: Path,
    upstream: str,
    costs: bool,
    only: Sequence[str],
    format: str,
    timeout: float,
    concurrency: int,
    **flags: Any,
) -> int:
    from images_emulator.recordings.drift import drift, needs_key  # noqa: PLC0415
    from images_emulator.recordings.upstream_address import UpstreamAddress  # noqa: PLC0415

    if not timeout > 0 or concurrency < 1:
        raise ValueError("--timeout and --concurrency must be above 0")
    key = upstream_key(read_settings(upstream=upstream, **flags))
    address = UpstreamAddress(upstream, key or "")
    recordings = _recordings(folder, only)
    if not key and needs_key(recordings, costs=costs):
        raise ValueError(missing_upstream_key_sentence(upstream))
    outcomes = drift(recordings, address, costs=costs, timeout=timeout, concurrency=concurrency)
    report = _json_report if format == "json" else _text_report
    return report(outcomes)


def _recordings(folder: Path, only: Sequence[str]) -> Sequence[Recording]:
    """The recordings in *folder* whose file names match any of the patterns *only*, with the suffix
    or, as the command prints them, without it; all where there are no patterns. Raises CommandError
    where there are none."""
    from images_emulator.recordings.folder import SUFFIX, read_folder  # noqa: PLC0415

    try:
        recordings = read_folder(folder)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(str(error)) from error
    chosen = [
        recording
        for recording in recordings
        if not only
        or any(
            fnmatchcase(name, pattern)
            for name in (recording.name, f"{recording.name}{SUFFIX}")
            for pattern in only
        )
    ]
    if not chosen:
        which = f", of {len(recordings)}, that matches {' or '.join(only)}" if recordings else ""
        raise CommandError(f"{folder} has no exchange{which}")
    return chosen


class _Tally:
    """Counts of outcomes."""

    def __init__(self) -> None:
        self.same = 0
        self.different = 0
        self.failed = 0
        self.key_refused: Counter[str] = Counter()
        """The number of recordings with a refused key, by the sentence that refused it."""
        self.skipped: Counter[str] = Counter()
        self.places: dict[str, Counter[str]] = defaultdict(Counter)
        """The numbers of differences, by kind and place."""

    def add(self, outcome: DriftResult) -> None:
        self.same += outcome.is_same
        self.different += bool(outcome.differences)
        self.failed += bool(outcome.failure)
        if outcome.key_refusal:
            self.key_refused[outcome.key_refusal] += 1
        if outcome.skip_reason:
            self.skipped[outcome.skip_reason] += 1
        for each in outcome.differences:
            self.places[each.kind][each.path_pattern] += 1

    @property
    def kinds(self) -> list[tuple[str, Counter[str]]]:
        """The kinds of differences with their places, most frequent kind first."""
        return sorted(self.places.items(), key=lambda item: -item[1].total())

    @property
    def exit_status(self) -> int:
        """The exit status of the command. It is not 0 where every recording was skipped."""
        if self.key_refused and not (self.different or self.failed):
            return KEY_REFUSED_STATUS
        return 0 if self.same and not (self.different or self.failed) else 1


def _text_report(outcomes: Iterator[DriftResult]) -> int:
    tally = _Tally()
    for outcome in outcomes:
        tally.add(outcome)
        for line in [*map(str, outcome.differences), *filter(None, [outcome.failure])]:
            print(printable(f"{outcome.recording.name}: {line}"), flush=True)
    counts = [f"{tally.same} as recorded"]
    counts += [f"{tally.different} otherwise"] if tally.different else []
    counts += [f"{tally.failed} failed"] if tally.failed else []
    refused = tally.key_refused.total()
    counts += [f"{refused} not compared, as the key was refused"] if refused else []
    counts += [f"{tally.skipped.total()} skipped"] if tally.skipped else []
    print(", ".join(counts))
    if tally.key_refused:
        print("key refused:")
    for sentence, count in tally.key_refused.most_common():
        print(printable(f"  {count:5}  {sentence}"))
    if tally.places:
        print("differences:")
    for kind, places in tally.kinds:
        print(f"  {places.total():5}  {kind}")
        for place, count in places.most_common():
            print(printable(f"  {count:9}  {place}"))
    if tally.skipped:
        print("skipped:")
    for reason, count in tally.skipped.most_common():
        print(f"  {count:5}  {reason}{_advice(reason)}")
    return tally.exit_status


def _advice(reason: str) -> str:
    from images_emulator.recordings.drift import COSTS_MONEY  # noqa: PLC0415

    return "; --costs sends it" if reason == COSTS_MONEY else ""


def _json_report(outcomes: Iterator[DriftResult]) -> int:
    tally = _Tally()
    exchanges: list[dict[str, Any]] = []
    for outcome in outcomes:
        tally.add(outcome)
        if outcome.differences or outcome.failure:
            exchange: dict[str, Any] = {"name": outcome.recording.name}
            if outcome.failure:
                exchange["failed"] = outcome.failure
            exchange["differences"] = [
                {
                    "kind": difference.kind,
                    "where": difference.where,
                    "actual": difference.actual,
                    "recorded": difference.recorded,
                }
                for difference in outcome.differences
            ]
            exchanges.append(exchange)
    report = {
        "same": tally.same,
        "different": tally.different,
        "failed": tally.failed,
        "key_refused": dict(tally.key_refused.most_common()),
        "skipped": dict(tally.skipped.most_common()),
        "differences": {kind: dict(places.most_common()) for kind, places in tally.kinds},
        "exchanges": exchanges,
    }
    print(dumps(report, indent=2))
    return tally.exit_status

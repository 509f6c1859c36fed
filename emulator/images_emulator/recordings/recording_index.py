"""The index of recordings: it finds those that answer a call, and the nearest where none does.

The levels are those of `setting_values.ReplayMatch`, from the strictest to the loosest. Each level
includes the stricter ones. The strictest level at which any recording matches decides:

- `exact`: the same method, path, query and fields, as they were sent. For a body without fields,
  the same bytes. The call need not be valid.
- `request`: the same operation of one provider, and the same valid request: model, prompt, every
  parameter after its default, and uploads with the same pixels. Invalid requests and calls to other
  paths need the same fields as sent; the query's `api-version` and the path's prefix do not count.
- `prompt`: the same operation, prompt and uploads, and an answer of the same shape (a stream or
  none, files or URLs). Of several recordings, the ones with the fewest differences.
- `operation`: the same operation, or the same method and path, and an answer of the same shape. Of
  several recordings, the ones with the fewest differences.

At the last two levels, a recorded error answers only where no other recording matches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from images_emulator.contract.operations import JSON, image_operation_at
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest, ParsedCall
from images_emulator.exchange.body_parser import parse_body
from images_emulator.recordings.compared_call import (
    UPLOAD_NAMES,
    CallDifference,
    ComparedCall,
    Resolver,
    common_start,
    compared_call,
)
from images_emulator.recordings.content_document import is_description
from images_emulator.recordings.document import header, plain_fields
from images_emulator.recordings.recording import RecordedRequest, Recording
from images_emulator.recordings.recording_source import RecordingSource
from images_emulator.setting_values import ReplayMatch

MAX_NEAREST: Final = 3
"""The most recordings that a miss names."""

MAX_CANDIDATES: Final = 16
"""The most recordings, nearest by the fields as sent, that are resolved to find the nearest
ones."""

MAX_DIFFERENCES: Final = 4
"""The most differences that the text of a miss names."""

OperationKey = tuple[str, str, str]
"""See `ComparedCall.operation_key`."""


class NearRecording(NamedTuple):
    """A recording that does not match a call, with its differences from the call."""

    name: str
    differences: Sequence[CallDifference]

    @property
    def reason(self) -> str:
        """The differences in words."""
        words = [str(each) for each in self.differences[:MAX_DIFFERENCES]]
        more = len(self.differences) - len(words)
        return ", ".join([*words, f"and {more} more"] if more else words)


class RecordingMatch(NamedTuple):
    """The recordings that match a call, as positions in the order of the folder."""

    level: ReplayMatch
    positions: tuple[int, ...]


class Miss(NamedTuple):
    """No recording answers a call. *nearest* are the nearest recordings, nearest first."""

    title: str
    """The call: its method and path. It is not shown where *reason* is given."""
    nearest: tuple[NearRecording, ...]
    reason: str = ""
    """Why a matching recording cannot be played, or the recordings cannot be read. Empty where none
    matches."""

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        if not self.nearest:
            return f"no recording is of {self.title}"
        first = self.nearest[0]
        return f"no recording matches; in the nearest, '{first.name}', {first.reason}"


class RecordingIndex:
    """Finds the recordings that match a call, among *recordings* in their order. A recording that
    does not pass *may_be_played* answers no call. *on_playable* is called with each
    recording that may be played and its position, before it can be found. Threads may share the
    index; see `add`.

    Raises ValueError where a recorded request cannot be made from its files.
    """

    def __init__(
        self,
        recordings: RecordingSource,
        resolver: Resolver,
        may_be_played: Callable[[Recording], bool] = lambda recording: True,
        on_playable: Callable[[int, Recording], None] = lambda position, recording: None,
    ) -> None:
        self.recordings = recordings
        self._may_be_played = may_be_played
        self._on_playable = on_playable
        self._resolver = resolver
        self._calls: dict[int, ComparedCall] = {}
        self.names: dict[int, str] = {}
        """The names of the recordings that may be played, by their positions."""
        self.all_names: set[str] = set()
        """The names of all recordings."""
        self._days: dict[int, str] = {}
        """The day of each recording that has one, by its position."""
        self._failed: set[int] = set()
        """The positions of recordings without an answer, or with an error as the answer."""
        self._exact: dict[bytes, list[int]] = {}
        self._by_operation: dict[OperationKey, list[int]] = {}
        self._by_prompt: dict[tuple[OperationKey, str | None], list[int]] = {}
        for position, recording in enumerate(recordings.summaries()):
            self.all_names.add(recording.name)
            if may_be_played(recording):
                self._add(position, recording, compared_call_of(recording.request))
        self.count = len(recordings)
        """The number of recordings, played or not; a cache of search results has it in the key.
        It grows only once an added recording can be found."""

    def add(self, recording: Recording) -> None:
        """Add a recording after the others. One thread at a time may do so, others may search
        meanwhile. Raises ValueError where its request cannot be made from its files."""
        position = len(self.recordings)
        is_played = self._may_be_played(recording)
        call = compared_call_of(recording.request) if is_played else None
        self.recordings.add(recording)
        self.all_names.add(recording.name)
        if call:
            self._add(position, recording, call)
        self.count = position + 1

    def _add(self, position: int, recording: Recording, call: ComparedCall) -> None:
        """Let *recording* answer calls. *call* is its request."""
        self._on_playable(position, recording)
        self._calls[position] = call
        self.names[position] = recording.name
        if recording.as_of is not None:
            self._days[position] = recording.as_of
        if recording.response is None or recording.response.status >= 400:
            self._failed.add(position)
        self._exact.setdefault(call.exact_key(), []).append(position)
        self._by_operation.setdefault(call.operation_key, []).append(position)
        self._by_prompt.setdefault((call.operation_key, call.prompt), []).append(position)

    def find(
        self,
        call: ComparedCall,
        resolve: Callable[[], ImageRequest | None],
        level: ReplayMatch = ReplayMatch.REQUEST,
        as_of: str | None = None,
    ) -> RecordingMatch | Miss:
        """Return the recordings that match the *call* at *level* or a stricter one. Recordings of
        one day match only calls that are judged by that *as_of*.

        *resolve* resolves the call, as `Resolver.resolve` does: it returns the valid request, and
        *call* has its values then. It is called once, unless the call matches exactly or *level* is
        `exact`. Matching may read the recordings' files, and decode the uploads of the call and of
        recordings.
        """
        if exact := self.find_exact(call, as_of):
            return exact
        if level is ReplayMatch.EXACT:
            return self._miss(call, as_of)
        resolve()
        alike = self._with_prompt_of(call, as_of)
        differences = {position: self._resolved_differences(call, position) for position in alike}
        if positions := tuple(position for position in alike if not differences[position]):
            return RecordingMatch(ReplayMatch.REQUEST, positions)
        if level is not ReplayMatch.REQUEST:
            fitting = {
                position: differences[position]
                for position in alike
                if call.answer_shape == self._calls[position].answer_shape
                and not any(
                    difference.name.startswith(UPLOAD_NAMES) for difference in differences[position]
                )
            }
            if fitting:
                return RecordingMatch(ReplayMatch.PROMPT, self._nearest_positions(fitting))
        if level is ReplayMatch.OPERATION:
            same_operation = self._positions_on_day(
                self._by_operation.get(call.operation_key, ()), as_of
            )
            fitting = {
                position: self._resolved_differences(call, position)
                for position in same_operation
                if call.answer_shape == self._calls[position].answer_shape
            }
            if fitting:
                return RecordingMatch(ReplayMatch.OPERATION, self._nearest_positions(fitting))
        return self._miss(call, as_of)

    def find_exact(self, call: ComparedCall, as_of: str | None) -> RecordingMatch | None:
        """The recordings that match the *call* exactly, as `find` gives them; None where there are
        none. No file is read."""
        positions = self._positions_on_day(self._exact.get(call.exact_key(), ()), as_of)
        return RecordingMatch(ReplayMatch.EXACT, positions) if positions else None

    def _nearest_positions(
        self, differences: dict[int, Sequence[CallDifference]]
    ) -> tuple[int, ...]:
        """The positions with the fewest *differences*, in order. Positions of errors are left out,
        unless there are no others."""
        positions = differences.keys() - self._failed or differences.keys()
        fewest = min(len(differences[position]) for position in positions)
        return tuple(
            position
            for position in differences
            if position in positions and len(differences[position]) == fewest
        )

    def _positions_on_day(self, positions: Iterable[int], as_of: str | None) -> tuple[int, ...]:
        """The *positions* of the recordings that answer on *as_of*: those of that day, or else
        those of no day."""
        if not self._days:
            return tuple(positions)
        of_day = tuple(
            position for position in positions if as_of and self._days.get(position) == as_of
        )
        return of_day or tuple(position for position in positions if position not in self._days)

    def _with_prompt_of(self, call: ComparedCall, as_of: str | None) -> tuple[int, ...]:
        """The positions of the recordings of the same operation with the prompt of *call*."""
        key = call.operation_key, call.prompt
        return self._positions_on_day(self._by_prompt.get(key, ()), as_of)

    def _resolved_differences(self, call: ComparedCall, position: int) -> Sequence[CallDifference]:
        """The differences of the *call*, which is resolved, from the recording at *position*.
        Resolves that recording, once: this reads its files and decodes its uploads."""
        recorded = self._calls[position]
        if not recorded.is_resolved:
            request = self.recordings[position].request
            self._resolver.resolve(recorded, parsed_call_of(recorded, request))
        return [*call.differences_from(recorded)]

    def _miss(self, call: ComparedCall, as_of: str | None) -> Miss:
        same_operation = self._positions_on_day(
            self._by_operation.get(call.operation_key, ()), as_of
        )
        alike = self._with_prompt_of(call, as_of)
        prompt = call.prompt or ""

        def distance(position: int) -> tuple[int, int]:
            """The distance by the fields as sent: how many differ, then how little of the prompt is
            shared."""
            recorded = self._calls[position]
            return call.sent_distance(recorded), -common_start(prompt, recorded.prompt or "")

        candidates = sorted(alike or same_operation, key=distance)[:MAX_CANDIDATES]
        near = [
            NearRecording(self.names[position], self._resolved_differences(call, position))
            for position in candidates
        ]
        near.sort(key=lambda each: len(each.differences))
        return Miss(call.title, tuple(near[:MAX_NEAREST]))


def group_of(call: ComparedCall, level: ReplayMatch) -> Hashable:
    """What a call shares with all recordings that match it at *level*. No recording of one of two
    calls with different groups answers the other."""
    if level is ReplayMatch.OPERATION:
        return call.operation_key
    return call.operation_key, call.prompt


def compared_call_of(request: RecordedRequest) -> ComparedCall:
    """A recorded request, in the form in which calls are compared with it."""
    content_type = header(request.headers, "content-type")
    fields = plain_fields(request) if content_type.lower().startswith(JSON) else {}
    # JSON without files has its fields in the document, so its bytes need not be made.
    if fields and _is_plain(fields) and _reads_json(request):
        return compared_call(request.method, request.target, content_type, (), fields)
    return compared_call(
        request.method, request.target, content_type, (request.read_uncached("body"),)
    )


def _is_plain(value: Any) -> bool:
    """Whether a JSON value of a document contains no description, that is, no object for a file."""
    if isinstance(value, dict):
        return not is_description(value) and all(map(_is_plain, value.values()))
    return not isinstance(value, list) or all(map(_is_plain, value))


def _reads_json(request: RecordedRequest) -> bool:
    """Whether the operation at the path of *request* reads JSON."""
    operation = image_operation_at(request.target.partition("?")[0])
    return operation is None or JSON in operation.bodies


def parsed_call_of(call: ComparedCall, request: RecordedRequest) -> ParsedCall | None:
    """The parsed body of a recorded request to an image operation; None for any other request."""
    if not call.operation:
        return None
    content_type = header(request.headers, "content-type")
    try:
        return parse_body(content_type, (request.read_uncached("body"),), call.operation)
    except (APIError, ValueError):
        return None

"""One call in the journal, as it came and as it was answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from sys import getsizeof
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple

from images_emulator import imaging
from images_emulator.contract.request import Call, ImageRequest, Upload
from images_emulator.exchange.details import CallDetails, UploadDetails, details_of
from images_emulator.exchange.head import RequestHead
from images_emulator.exchange.sent import SentResponse

BASE: Final = 2048
"""Bytes of an entry without its head and body, about."""

MAX_LATE_PARSE_BYTES: Final = 16_384
"""A body up to this length is parsed again whenever somebody asks what is in it. Parsed, it may
take 24 times its length, so it is not kept. Of a longer body only the facts are kept, if it was
parsed to answer the call."""

Kind = Literal["call", "download"]
"""A call to the API, or a request for a hosted picture."""

Parse = Callable[[str, str, Sequence[bytes]], Call | None]
"""Parses a body again: from path, `Content-Type` and the body's chunks; None where it cannot be."""


_NOTHING: Final[Mapping[str, Any]] = {}


class Kept(NamedTuple):
    """What is held of a call's state; see its keys there."""

    body: Sequence[bytes] | None = None
    call: Call | None = None
    accepted: ImageRequest | None = None
    fault: str | None = None
    near_misses: Sequence[str] = ()
    order_facts: CallDetails | None = None


class Entry(RequestHead):
    """What is known of one call: on arrival its head, then what it asks, at last how it went.

    Its attributes have the names of the admin API's JSON. *state* is the call's own, which the
    layers fill; *time* is by the emulator's clock. *parse* is for a body that nobody has parsed, or
    that is asked for again.
    """

    __slots__ = (
        "_answer",
        "_facts",
        "_file_count",
        "_kept",
        "_parse",
        "_start",
        "_state",
        "duration_ms",
        "id",
        "kind",
        "time",
        "weight",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        identity: str,
        time: datetime,
        state: Mapping[str, Any],
        parse: Parse = lambda *_: None,
        kind: Kind = "call",
    ) -> None:
        RequestHead.__init__(self, method, path, query, headers)
        self.id = identity
        self.kind = kind
        self.time = time
        self.duration_ms: float | None = None
        self.weight = BASE
        self._state = state
        self._parse = parse
        self._kept: Kept | None = None
        self._answer = SentResponse()
        self._facts: CallDetails | None = None
        self._file_count: int | None = None
        self._start = perf_counter()

    # --- what comes and goes; called by the thread that serves

    def answering(self, status: int) -> None:
        """Note how an answer begins, before the client can see it."""
        get = self._state.get
        self._answer.start(status, get("accepted"), altered=get("altered", False))

    @property
    def listens(self) -> bool:
        """Whether `sending` is to be told of the answer's body."""
        return self._answer.listens

    def sending(self, body: bytes) -> None:
        """Note a part of an answer's body, if the entry *listens* to it."""
        self._answer.add(body)

    def sent(self) -> None:
        """Note that the last part of the body leaves."""
        self._answer.end()

    @property
    def elapsed_ms(self) -> float:
        return (perf_counter() - self._start) * 1000

    def end(self) -> None:
        self.duration_ms = self.elapsed_ms
        self._answer.close()

    def load(self) -> int:
        """Hold on to what the call brought, and to nothing else of its state; what that weighs.

        What was parsed is not held: it is many times as large as the body, and nobody may ask.
        """
        get = self._state.get
        body, call, accepted, misses = get("body"), get("call"), get("accepted"), get("near_misses")
        length = sum(map(len, body or ()))
        load = length + self.pack()
        if order_facts := get("order_facts"):
            # They are shared with the other calls that sent the same, and their prompt with
            # `accepted`.
            self._facts = order_facts
        elif call and (length > MAX_LATE_PARSE_BYTES or "fault" in self._state):
            # In this order: see `facts`.
            self._file_count = len(_uploads(call))
            self._facts = details_of(call, accepted)
            load += getsizeof(repr(self._facts))
        if drawing := get("drawing"):
            self._facts = CallDetails(model=drawing.model.id, prompt=drawing.prompt or None)
            load += 4 * len(drawing.prompt)
        if accepted:
            load += imaging.decoder.weight_of(accepted)
            if accepted.images:
                accepted = imaging.decoder.without_pixels(accepted)
        if misses or self._answer.error_body:
            load += self._told(misses or ())
        # In this order: see `_known`.
        self._kept = Kept(body, None, accepted, get("fault"), misses or ())
        self._state = _NOTHING
        self.weight += load
        return load

    def unload(self) -> None:
        """Let go of the body and the pictures, and weigh what is left."""
        told = facts = self.facts
        known = self._known()
        accepted = known.accepted if known.accepted and not known.accepted.images else None
        self.weight = BASE + self.size + self._told(known.near_misses)
        if accepted:
            # They decide nothing of a drawing, and may be as long as a body.
            accepted = replace(accepted, user=None, safety_identifier=None)
            self.weight += imaging.decoder.weight_of(accepted)
            told = replace(facts, prompt=None)
        self.weight += getsizeof(repr(told))
        # In this order: see `facts`.
        self._facts = facts
        self._kept = known._replace(body=None, accepted=accepted)

    def _told(self, misses: Sequence[str]) -> int:
        return len(self._answer.error_body) + sum(map(len, misses))

    def _known(self) -> Kept:
        """What the call's state has by now, or what was kept of it."""
        if self._kept:
            return self._kept
        known = Kept(*map(self._state.get, Kept._fields, Kept._field_defaults.values()))
        # The call may have been answered meanwhile, and its state emptied.
        return self._kept or known

    def _parsed(self, known: Kept) -> Call | None:
        """The call in the body, if it was parsed and is not answered yet, or else parsed again."""
        if known.call or not known.body:
            return known.call
        return self._parse(self.path, self._header(b"content-type"), known.body)

    # --- what is known; any thread may ask

    @property
    def facts(self) -> CallDetails:
        """What the call asks, as far as it is known."""
        # Taken before the facts, so that it is whole where there are none.
        known = self._known()
        if facts := self._facts or known.order_facts:
            return facts
        late = sum(map(len, known.body or ())) <= MAX_LATE_PARSE_BYTES
        return details_of(self._parsed(known) if late else known.call, known.accepted)

    @property
    def status(self) -> int | None:
        """The status that has left; None before, and where the connection was cut before it."""
        return self._answer.status

    @property
    def events(self) -> int:
        """The events of a stream that have left."""
        return self._answer.events

    @property
    def images(self) -> Sequence[int]:
        """The indexes of the images that have left whole."""
        return self._answer.images

    @property
    def model(self) -> str | None:
        return self.facts.model

    @property
    def prompt(self) -> str | None:
        return self.facts.prompt

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.facts.parameters

    @property
    def uploads(self) -> Sequence[UploadDetails]:
        return self.facts.uploads

    @property
    def violations(self) -> Sequence[str]:
        """What was forgiven, as `param: code`."""
        return self.facts.violations

    @property
    def fault(self) -> str | None:
        """The name of the fault that it met."""
        return self._known().fault

    @property
    def near_misses(self) -> Sequence[str]:
        """Why the steps of the scenario did not match, one sentence each."""
        return tuple(self._known().near_misses)

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The `error` object of the answer, or of the event that ended the stream."""
        text = self._answer.error_body
        if self._answer.streams:
            text = text.partition(b"data: ")[2]
        try:
            told = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            return None
        return told if isinstance(told, dict) else None

    @property
    def error_code(self) -> str | None:
        return (self.error or {}).get("code")

    @property
    def drawn(self) -> ImageRequest | None:
        """What the pictures of the answer can be drawn from again; None where none has left."""
        return self._known().accepted if self.images else None

    @property
    def body(self) -> bytes | None:
        """The body as it came, or None where it was not read or is not kept any more."""
        chunks = self._known().body
        return None if chunks is None else b"".join(chunks)

    @property
    def files(self) -> Sequence[Upload]:
        """The files that came with a form, as far as they are kept, in its order. The body is
        parsed anew, which takes a second for 200 MB."""
        call = self._parsed(self._known())
        return _uploads(call) if call else ()

    @property
    def file_count(self) -> int:
        """How many `files` there are."""
        known = self._known()
        if not known.body:
            return 0
        return len(self.files) if self._file_count is None else self._file_count

    @property
    def answer(self) -> bytes:
        """The beginning of a refusal's body, or the error event of a stream."""
        return self._answer.error_body

    def __str__(self) -> str:
        spent = "unfinished" if self.duration_ms is None else f"{self.duration_ms:.0f} ms"
        error = self.error or {}
        refused = error.get("code") or error.get("type")
        went = (self.method, self.path, self.model, self.status, refused, spent)
        return " ".join(str(each) for each in went if each is not None)

    def __repr__(self) -> str:
        return f"<{self.id}: {self}>"


def _uploads(call: Call) -> Sequence[Upload]:
    """The files in a *call*'s form, in its order."""
    values = [v if isinstance(v, list) else [v] for v in call.fields.values()]
    return [item for items in values for item in items if isinstance(item, Upload)]

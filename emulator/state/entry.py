"""One call in the journal, as it came and as it was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from sys import getsizeof
from time import perf_counter
from typing import Any, Final, NamedTuple

from emulator import imaging
from emulator.contract.request import Call, ImageRequest, Upload
from emulator.state.facts import Facts, Sent, facts_of
from emulator.state.head import Head

BASE: Final = 2048
"""Bytes of an entry without its head and body, about."""

LONGEST_ANSWER: Final = 16_384
"""Bytes that are kept of a refusal."""


_NOTHING: Final[Mapping[str, Any]] = {}


class Kept(NamedTuple):
    """What is held of a call's state; see its keys there."""

    body: Sequence[bytes] | None = None
    call: Call | None = None
    accepted: ImageRequest | None = None
    fault: str | None = None
    near_misses: Sequence[str] = ()


class Entry(Head):
    """What is known of one call: on arrival its head, then what it asks, at last how it went.

    Its attributes have the names of the control plane's JSON. *state* is the call's own, which the
    layers fill; *time* is by the emulator's clock.
    """

    __slots__ = (
        "_answer",
        "_facts",
        "_kept",
        "_start",
        "_state",
        "_streams",
        "duration_ms",
        "events",
        "id",
        "listens",
        "status",
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
    ) -> None:
        Head.__init__(self, method, path, query, headers)
        self.id = identity
        self.time = time
        self.status: int | None = None
        self.duration_ms: float | None = None
        self.events = 0
        self.weight = BASE
        self._state = state
        self._kept: Kept | None = None
        self._answer = b""
        self._streams = self.listens = False
        self._facts: Facts | None = None
        self._start = perf_counter()

    # --- what comes and goes; called by the thread that serves

    def answering(self, status: int) -> None:
        """Note how an answer begins, before the client can see it."""
        self.status = status
        accepted = self._state.get("accepted")
        self._streams = bool(accepted and accepted.stream and status == 200)
        self.listens = self._streams or status >= 400

    def sending(self, body: bytes) -> None:
        """Note a part of an answer's body, if the entry *listens* to it."""
        if not self._streams:
            self._answer = (self._answer + body)[:LONGEST_ANSWER]
        elif body.endswith(b"\n\n") and not body.startswith(b":"):
            self.events += 1
            self._answer = body if body.startswith(b"event: error\n") else b""

    @property
    def elapsed_ms(self) -> float:
        return (perf_counter() - self._start) * 1000

    def end(self) -> None:
        self.duration_ms = self.elapsed_ms

    def load(self) -> int:
        """Hold on to what the call brought, and to nothing else of its state; what that weighs."""
        get = self._state.get
        body, call, accepted, misses = get("body"), get("call"), get("accepted"), get("near_misses")
        # The body is there twice: as it came, and understood; what JSON carries in base64, thrice.
        load = sum(map(len, body or ())) * (2 if call and call.form else 3) + self.pack()
        if accepted:
            load += imaging.uploads.weight(accepted)
            if accepted.images:
                accepted = imaging.uploads.resting(accepted)
        if misses or self._answer:
            load += self._told(misses or ())
        # In this order: see `_known`.
        self._kept = Kept(body, call, accepted, get("fault"), misses or ())
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
            self.weight += imaging.uploads.weight(accepted)
            told = replace(facts, prompt=None)
        self.weight += getsizeof(repr(told))
        # In this order: see `facts`.
        self._facts = facts
        self._kept = known._replace(body=None, call=None, accepted=accepted)

    def _told(self, misses: Sequence[str]) -> int:
        return len(self._answer) + sum(map(len, misses))

    def _known(self) -> Kept:
        """What the call's state has by now, or what was kept of it."""
        # Taken first, so that what was kept is there where this is empty.
        state = self._state
        if self._kept:
            return self._kept
        known = map(state.get, Kept._fields, Kept._field_defaults.values())
        return Kept(*known)

    # --- what is known; any thread may ask

    @property
    def facts(self) -> Facts:
        """What the call asks, as far as it is known."""
        # Taken before the facts, so that it is whole where there are none.
        known = self._known()
        return self._facts or facts_of(known.call, known.accepted)

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
    def uploads(self) -> Sequence[Sent]:
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
        text = self._answer.partition(b"data: ")[2] if self._streams else self._answer
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
        """What the pictures of the answer can be drawn from again."""
        return self._known().accepted if self.status == 200 and not self.error else None

    @property
    def body(self) -> bytes | None:
        """The body as it came, or None where it was not read or is not kept any more."""
        chunks = self._known().body
        return None if chunks is None else b"".join(chunks)

    @property
    def files(self) -> Sequence[Upload]:
        """The files that came with a form, as far as they are kept, in its order."""
        call = self._known().call
        values = [v if isinstance(v, list) else [v] for v in (call.fields if call else {}).values()]
        return [item for items in values for item in items if isinstance(item, Upload)]

    @property
    def answer(self) -> bytes:
        """The beginning of a refusal's body, or the error event of a stream."""
        return self._answer

    def __str__(self) -> str:
        spent = "unfinished" if self.duration_ms is None else f"{self.duration_ms:.0f} ms"
        error = self.error or {}
        refused = error.get("code") or error.get("type")
        went = (self.method, self.path, self.model, self.status, refused, spent)
        return " ".join(str(each) for each in went if each is not None)

    def __repr__(self) -> str:
        return f"<{self.id}: {self}>"

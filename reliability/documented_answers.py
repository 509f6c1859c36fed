"""Calls that schemathesis makes from the emulator's own OpenAPI documents, of the API and of the
admin API: as the documents allow, and not as they do."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

import httpx2

from reliability.mixed_calls import KEY
from reliability.promise import Effort, Figure, Outcome
from reliability.server_process import START_SECONDS, ServerProcess

DOCUMENTS: Final = ("/_emulator/api", "/_emulator/openapi.json")
"""The paths of the documents."""

EXAMPLES: Final = 200
"""Calls of each kind to each operation, at most."""

TIMEOUT_SECONDS: Final = 60.0

ENDLESS: Final = "/_emulator/events"
"""The path whose answer has no end, which is not called."""

READY: Final = "/_emulator/ready"
"""The path that answers a 503, which is no mistake, until everything is loaded."""

GENERATION: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}


def _simplified(document: Mapping[str, Any]) -> dict[str, Any]:
    """*document* without the combinations of parameters that are refused, which schemathesis does
    not make values for: calls that have one are wrong calls more."""
    copy: dict[str, Any] = deepcopy({**document})
    for methods in copy["paths"].values():
        for operation in methods.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for schema in content["schema"].get("anyOf", ()):
                    schema.pop("allOf", None)
    return copy


def _has_wrong_calls(operation: Any) -> bool:
    """Whether a call to *operation* can be other than its document says: every text is a path
    parameter."""
    kinds = [each.definition.get("schema", {}).get("type") for each in operation.path_parameters]
    return bool(operation.body or [*operation.query] or any(kind != "string" for kind in kinds))


def _media_type(answer: Any) -> str:
    return str(answer.headers.get("content-type", [""])[0]).partition(";")[0].strip()


def mistake_of(answers: Mapping[str, Any], status: int, media_type: str, body: bytes) -> str:
    """What is wrong with an answer by the *answers* that its operation documents; empty where
    nothing is."""
    if str(status) not in answers:
        return f"{status} is not documented"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{status} {body[:300]!r}"
    content = answers[str(status)].get("content", {})
    if not body and (status == HTTPStatus.NO_CONTENT or not content):
        return ""
    if not body and status == HTTPStatus.NOT_FOUND:  # the path is none, as it was escaped
        return ""
    kinds = {media_type, f"{media_type.partition('/')[0]}/*"}
    if not kinds & {*content}:
        return f"{status} is of the type {media_type!r}, not {' or '.join(content)}"
    if media_type != "application/json":
        return ""
    try:
        value = json.loads(body)
    except ValueError:
        return f"{status} has no JSON: {body[:300]!r}"
    if status >= HTTPStatus.BAD_REQUEST:
        error = value.get("error") if isinstance(value, dict) else None
        if not isinstance(error, dict) or error.keys() != {"message", "type", "param", "code"}:
            return f"{status} is in no envelope: {body[:300]!r}"
    return ""


class _Calls:
    """Makes the calls, and keeps what came of them."""

    def __init__(self, url: str, ids: Sequence[str], examples: int) -> None:
        self._url = url
        self._ids = ids
        self._examples = examples
        self.statuses: Counter[int] = Counter()
        self.operations = 0
        self.mistakes: Counter[str] = Counter()

    def _check(self, operation: Any, case: Any) -> None:
        where = f"{operation.method.upper()} {operation.path}"
        headers = {"authorization": f"Bearer {KEY}"}
        answer = case.call(base_url=self._url, headers=headers, timeout=TIMEOUT_SECONDS)
        self.statuses[answer.status_code] += 1
        documented = operation.definition.raw["responses"]
        body = answer.content
        if mistake := mistake_of(documented, answer.status_code, _media_type(answer), body):
            self.mistakes[f"{where}: {mistake}"] += 1
        elif answer.status_code == HTTPStatus.OK and _media_type(answer) == "application/json":
            try:
                operation.validate_response(answer)
            except Exception as error:  # noqa: BLE001 - of many classes, with its words
                self.mistakes[f"{where}: {str(error)[:500]}"] += 1

    def _try(self, operation: Any, mode: Any) -> None:
        import hypothesis  # noqa: PLC0415 - the other promises need neither

        strategy = operation.as_strategy(generation_mode=mode)
        identity = hypothesis.strategies.sampled_from([*self._ids, None, None])

        @hypothesis.settings(
            max_examples=self._examples,
            database=None,
            derandomize=True,
            deadline=None,
            suppress_health_check=[*hypothesis.HealthCheck],
        )
        @hypothesis.given(strategy, identity, hypothesis.strategies.booleans())
        def call(case: Any, id_of_call: str | None, first: bool) -> None:
            parameters = case.path_parameters
            if id_of_call and parameters and "id" in parameters:
                parameters["id"] = id_of_call
                for name in ("index", "partial"):
                    if name in parameters and first:
                        parameters[name] = 0
            self._check(operation, case)

        call()

    def make(self, document: Mapping[str, Any]) -> None:
        """Call each operation of a *document* as it allows, and not as it does."""
        import schemathesis  # noqa: PLC0415 - the other promises do not need it

        schema = schemathesis.openapi.from_dict(_simplified(document))
        modes = schemathesis.GenerationMode
        results: list[Any] = [*schema.get_all_operations()]
        operations = [each.ok() for each in results]
        # What forgets the calls comes after what shows them.
        for operation in sorted(operations, key=lambda each: each.method != "get"):
            if operation.path == ENDLESS:
                continue
            self.operations += 1
            self._try(operation, modes.POSITIVE)
            if _has_wrong_calls(operation):
                self._try(operation, modes.NEGATIVE)


async def documented_answers(effort: Effort, loop: str) -> Outcome:
    """The journal has calls with pictures, so that the paths of its parts answer, too."""
    flags = ("--log-level", "error")
    with ServerProcess(*flags, loop=loop) as server:
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(
            base_url=server.url, headers=headers, timeout=START_SECONDS
        ) as http:
            answers = [
                await http.post("/v1/images/generations", json=GENERATION),
                await http.post("/v1/images/generations", json={**GENERATION, "n": 99}),
                await http.get("/v1/models"),
            ]
            documents = [(await http.get(path)).json() for path in DOCUMENTS]
            while (await http.get(READY)).status_code != HTTPStatus.OK:  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.05)
        ids = [answer.headers["x-request-id"] for answer in answers]
        calls = _Calls(server.url, ids, effort.count(EXAMPLES, least=2))
        for document in documents:
            await asyncio.to_thread(calls.make, document)
    statuses = calls.statuses
    client_errors = sum(number for status, number in statuses.items() if status >= 500)
    mistakes = [f"{text} ({number} times)" for text, number in calls.mistakes.items()]
    return Outcome(
        [
            Figure(calls.operations, "operations", least=1),
            Figure(statuses.total(), "calls"),
            Figure(statuses[200], "answered 200", least=1),
            Figure(len(statuses), "statuses, all documented"),
            Figure(client_errors, "answered 5xx", most=0),
        ],
        [*mistakes, *server.mistakes],
    )

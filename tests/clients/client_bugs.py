"""What clients do wrong, whatever server answers them: for each, the request that was really sent.

A check has the client's run and the operation, and raises AssertionError where the client does
otherwise by now. Its docstring is the reason in the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Final

from tests.clients.client_run import ClientRun

Check = Callable[[ClientRun, str], None]


def langchain_reads_urls_alone(run: ClientRun, operation: str) -> None:
    """It reads the `url` of each picture, which GPT image models do not send, and ends with a
    TypeError; DALL·E, of which it was made, is shut down."""
    call = run.calls[operation][-1]
    assert call.status == 200
    assert set(call.sent_names) == {"model", "n", "prompt", "size"}
    assert b'"b64_json"' in (call.answer_bytes or b"")
    assert run.reports[operation]["raised"].startswith("TypeError")


def crewai_sends_the_quality_of_dalle(run: ClientRun, operation: str) -> None:
    """It sends `quality: standard` where none is set, which GPT image models refuse."""
    call = run.calls[operation][-1]
    assert call.parameters["quality"] == "standard"
    assert (call.status, call.error_code) == (400, "invalid_value")


def langchain_js_asks_for_the_format_of_dalle(run: ClientRun, operation: str) -> None:
    """It always sends `response_format`, `style` and `quality: standard`, which GPT image models
    refuse; DALL·E, of which it was made, is shut down."""
    call = run.calls[operation][-1]
    sent = {name: call.parameters[name] for name in ("response_format", "style", "quality")}
    assert sent == {"response_format": "url", "style": "vivid", "quality": "standard"}
    assert call.error
    assert (call.status, call.error["param"]) == (400, "response_format")


def litellm_reads_a_stream_as_json(run: ClientRun, operation: str) -> None:
    """It sends `stream: true`, and then reads the events as one JSON answer."""
    call = run.calls[operation][0]
    assert call.parameters["stream"] is True
    assert (call.status, call.partial_count, call.outcome) == (200, 2, "answered")
    assert "'str' object has no attribute" in run.reports[operation]["raised"]


def semantic_kernel_edits_without_a_model(run: ClientRun, operation: str) -> None:
    """`edit_image` sends no `model`, and the API takes its default."""
    (call,) = run.calls[operation]
    assert call.path == "/v1/images/edits"
    assert "model" not in call.sent_names
    assert call.model != run.client.model


def litellm_proxy_replaces_the_code(run: ClientRun, operation: str) -> None:
    """The proxy answers with its own status as `code`: `400` for `invalid_value`."""
    (call,) = run.calls[operation]
    report = run.reports[operation]
    assert call.error
    assert (call.status, call.error_code) == (400, "invalid_value")
    assert (report["status"], report["code"], report["param"]) == (400, "400", "size")
    assert call.error["message"] in report["message"]


CLIENT_BUGS: Final[Mapping[tuple[str, str], Check]] = {
    ("langchain-gpt", "generate"): langchain_reads_urls_alone,
    ("langchain-gpt", "retry"): langchain_reads_urls_alone,
    ("crewai-gpt", "generate"): crewai_sends_the_quality_of_dalle,
    ("crewai-gpt", "retry"): crewai_sends_the_quality_of_dalle,
    ("langchain-js-gpt", "generate"): langchain_js_asks_for_the_format_of_dalle,
    ("langchain-js-gpt", "retry"): langchain_js_asks_for_the_format_of_dalle,
    ("litellm", "stream"): litellm_reads_a_stream_as_json,
    ("litellm-proxy", "stream"): litellm_reads_a_stream_as_json,
    ("litellm-proxy", "error"): litellm_proxy_replaces_the_code,
    ("semantic-kernel", "edit"): semantic_kernel_edits_without_a_model,
    ("semantic-kernel", "mask"): semantic_kernel_edits_without_a_model,
    ("semantic-kernel", "inputs"): semantic_kernel_edits_without_a_model,
}
"""By the name of the client and the operation."""


def bug_outcome(run: ClientRun, operation: str) -> str | None:
    """`bug: WHY` where the client is known to do an *operation* wrong, and did so."""
    check = CLIENT_BUGS.get((run.client.name, operation))
    if not check:
        return None
    check(run, operation)
    return f"bug: {' '.join((inspect.getdoc(check) or '').split())}"

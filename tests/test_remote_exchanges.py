"""The exchanges, replayed against another server: a second emulator, and one that says it wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from images_emulator.recordings.folder import read_recording
from tests.programs import run_pytest, running_command
from tests.remote_server import Remote

ROOT = Path(__file__).parent.parent
KEY = "sk-remote"

REFUSED = (
    *("edits-form-mask-size", "edits-json-images-empty", "files-purpose-missing"),
    *("generations-model-null", "json-truncated", "key-missing", "key-wrong-long"),
    *("method-delete", "models-unknown", "unknown-image-path"),
)
SKIPPED = {
    "accepted-gpt-image-2-low": "costs money; REMOTE_COSTS=1 asks for it",
    "body-too-large": "only an emulator has settings",
    "broken-generation": "only an emulator has broken",
    "dated-key-missing": "the answer of another day",
    "header-as-of-bogus": "only an emulator has x-emulator-as-of",
    "not-served-responses": "the emulator's own sentence",
    "unknown-root": "outside of /v1",
    "variations-form-n": "dall-e-2 was shut down",
}


def replayed(
    patch: pytest.MonkeyPatch, url: str, names: Sequence[str], **variables: str
) -> pytest.RunResult:
    """A session in which the exchanges *names* are replayed against the server at *url*."""
    variables = {"REMOTE_BASE_URL": f"{url}/v1", "REMOTE_API_KEY": KEY} | variables
    for name, value in variables.items():
        patch.setenv(name, value)
    patch.delenv("PYTEST_XDIST_WORKER", raising=False)
    test = "tests/test_exchanges.py::test_exchange_is_answered_as_recorded"
    imported = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    options = ["-rfs", "-p", "no:cacheprovider", "-W", imported]
    done = run_pytest([*options, *(f"{test}[{name}]" for name in names)], ROOT)
    lines, errors = done.stdout.splitlines(), done.stderr.splitlines()
    return pytest.RunResult(done.returncode, lines, errors, duration=0)


@pytest.fixture(scope="module")
def second_emulator() -> Iterator[str]:
    with running_command("serve", "--port", "0", "--api-key", KEY) as command:
        yield command.stdout.readline().removeprefix("Listening on ").strip()


def test_a_second_emulator_answers_as_recorded(
    monkeypatch: pytest.MonkeyPatch, second_emulator: str
) -> None:
    result = replayed(monkeypatch, second_emulator, [*REFUSED, *SKIPPED])
    result.assert_outcomes(passed=len(REFUSED), skipped=len(SKIPPED))
    for reason in SKIPPED.values():
        result.stdout.fnmatch_lines([f"SKIPPED * {reason}"])


def test_an_accepted_generation_is_compared_where_money_is_no_object(
    monkeypatch: pytest.MonkeyPatch, second_emulator: str
) -> None:
    names = ["accepted-gpt-image-2-low"]
    replayed(monkeypatch, second_emulator, names, REMOTE_COSTS="1").assert_outcomes(passed=1)


MISTAKES: Mapping[str, tuple[str, object, str | None]] = {
    "generations-model-null": ("message", "No.", "error.message: "),
    "edits-json-images-empty": ("code", "bad", "error.code: "),
    "models-unknown": ("status", None, "status: 422, recorded 404"),
    "method-delete": ("a further key", "", None),
}
"""Exchanges, each with a key of the error that a server gets wrong, its value, and the beginning of
the failure's line; None where that is no mistake."""


def wrong_answer(name: str) -> tuple[str, tuple[int, bytes]]:
    """The method and path of the exchange *name*, and the wrong status and body."""
    recording = read_recording(ROOT / f"fixtures/exchanges/{name}.json")
    request, response = recording.request, recording.response
    assert response
    key, value, _ = MISTAKES[name]
    status = 422 if key == "status" else response.status
    body = json.dumps({"error": json.loads(response.body)["error"] | {key: value}}).encode()
    return f"{request.method} {request.target}", (status, body)


def test_another_sentence_code_or_status_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = dict(map(wrong_answer, MISTAKES))
    assert len(answers) == len(MISTAKES)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, body = answers[f"{self.command} {self.path}"]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the base class looks for them

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        result = replayed(monkeypatch, f"http://127.0.0.1:{server.server_port}", [*MISTAKES])
        server.shutdown()
        thread.join()
    result.assert_outcomes(passed=1, failed=3)
    for name, (_, _, shown) in MISTAKES.items():
        failures = re.findall(rf"^FAILED .*\[{name}\].*$", str(result.stdout), re.MULTILINE)
        assert len(failures) == bool(shown), name
        assert not shown or shown in str(result.stdout)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"REMOTE_BASE_URL": "http://127.0.0.1:9"}, "REMOTE_BASE_URL must end with /v1"),
        ({"REMOTE_BASE_URL": "http://127.0.0.1:9/v1"}, "REMOTE_BASE_URL needs REMOTE_API_KEY"),
    ],
)
def test_a_remote_server_needs_a_url_with_v1_and_a_key(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    monkeypatch.delenv("REMOTE_API_KEY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(pytest.UsageError, match=words):
        Remote.from_environment()

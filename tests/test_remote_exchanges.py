"""The exchanges, replayed as tests against another server: a second emulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.programs import run_pytest, running_command

ROOT = Path(__file__).parent.parent
KEY = "sk-remote"


@pytest.fixture(scope="module", autouse=True)
def second_emulator() -> Iterator[None]:
    """The variables that name a second emulator."""
    with running_command("serve", "--port", "0", "--api-key", KEY) as command:
        url = command.stdout.readline().removeprefix("Listening on ").strip()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REMOTE_BASE_URL", f"{url}/v1")
            patch.setenv("REMOTE_API_KEY", KEY)
            patch.delenv("PYTEST_XDIST_WORKER", raising=False)
            yield


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variables", "outcome", "words"),
    [
        ("generations-model-null", {}, "passed", ""),
        ("accepted-gpt-image-2-low", {}, "skipped", "it costs money"),
        ("accepted-gpt-image-2-low", {"REMOTE_COSTS": "1"}, "passed", ""),
        ("generations-model-null", {"REMOTE_API_KEY": "sk-wrong"}, "failed", "Incorrect API key"),
    ],
)
def test_an_exchange_is_compared_with_the_answer_of_another_server(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variables: Mapping[str, str],
    outcome: str,
    words: str,
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    test = f"tests/test_exchanges.py::test_exchange_is_answered_as_recorded[{name}]"
    imported = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    done = run_pytest(["-rfs", "-p", "no:cacheprovider", "-W", imported, test], ROOT)
    lines, errors = done.stdout.splitlines(), done.stderr.splitlines()
    pytest.RunResult(done.returncode, lines, errors, duration=0).assert_outcomes(**{outcome: 1})
    assert words in done.stdout

"""Code that makes a call again: each sample is run, and the server sees the same call."""

from __future__ import annotations

import ast
import base64
import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qsl

import httpx2
import openai
import pytest
from PIL import Image

from images_emulator import Server, Settings
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS, VARIATIONS, Operation
from images_emulator.exchange.exchange import Exchange
from images_emulator.web.admin.journal_api import Language
from images_emulator.web.code_samples import LANGUAGES
from images_emulator.web.code_samples.sdk_call import NOT_IN_SDK, PYTHON_METHODS
from tests.answers import error_of
from tests.conftest import KEY
from tests.pictures import half_clear, png
from tests.programs import run_pytest, run_python
from tests.waiting import until
from tests.wire import exchange

ROOT = Path(__file__).parent.parent
PROMPT = (
    'it\'s "$HOME" `ls` ${x} {y} %s \\ \\n !\nzwei\tZeilen\r\n日本語 🌊 \u2028 </script> """ \'\'\''
)
SMALL = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
DATA_URL = "data:image/png;base64," + base64.b64encode(png((8, 8))).decode()
IMAGE = ('a "b" é.png', png((40, 30)), "image/png")
MASK = ("m.png", half_clear((40, 30)), "image/png")

CALLS: Mapping[str, dict[str, Any]] = {
    "prompt": {"json": SMALL | {"prompt": PROMPT, "n": 2, "user": "me"}},
    "stream": {
        "json": {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    },
    "refused": {
        "json": {"model": "gpt-image-2", "prompt": "x", "n": 0, "colour": {"a-b": [1.5, None]}}
    },
    "url": {"json": SMALL | {"response_format": "url"}},
    "no prompt": {"json": {"model": "gpt-image-2", "size": "1024x1024"}},
    "wrong types": {"json": {"model": "gpt-image-2", "prompt": ["x"], "stream": "yes"}},
    "large number": {"json": SMALL | {"n": 2**60}},
    "prototype": {"json": SMALL | {"__proto__": {"a": "b"}}},
    "no version in the path": {"json": SMALL, "path": "/images/generations"},
    "query": {"json": SMALL, "path": f"{GENERATIONS.path}?a=b%20c&d="},
    "headers": {
        "json": SMALL | {"n": 99, "colour": "red"},
        "headers": {"x-emulator-validation": "lenient", "x-emulator-as-of": "2024-06-01"},
    },
    "fault": {"json": SMALL, "headers": {"x-emulator-fault": "error;status=418;message=it's"}},
    "edit": {
        "path": EDITS.path,
        "data": {"model": "gpt-image-2", "prompt": PROMPT, "n": "1", "quality": "low"},
        "files": [("image[]", IMAGE), ("image[]", ("b.png", png(), "image/png")), ("mask", MASK)],
    },
    "edit of one image": {
        "path": EDITS.path,
        "data": {"model": "gpt-image-2", "prompt": "x", "stream": "true", "quality": "low"},
        "files": [("image", IMAGE)],
    },
    "edit with markup": {
        "path": EDITS.path,
        "data": {"model": "gpt-image-2.5-sunburst", "prompt": "x", "quality": "low"},
        "files": [("image", IMAGE), ("markup", MASK)],
    },
    "refused edit": {
        "path": EDITS.path,
        "data": {"model": "gpt-image-2", "prompt": "x", "svg[model]": "y", "n": "-1"},
        "files": [("image", ("a.txt", b"no picture", "text/plain"))],
    },
    "edit with texts as images": {
        "path": EDITS.path,
        "files": [("image[0]", (None, "137")), ("prompt", (None, "x"))],
    },
    "variation": {
        "path": VARIATIONS.path,
        "data": {"n": "2", "size": "256x256"},
        "files": [("image", ("a.png", png(), "image/png"))],
    },
    "json edit": {
        "path": EDITS.path,
        "json": {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": DATA_URL}]},
        "headers": {"x-emulator-validation": "lenient"},
    },
    "streamed json edit": {
        "path": EDITS.path,
        "json": {
            "model": "gpt-image-2",
            "prompt": "x",
            "stream": True,
            "images": [{"image_url": DATA_URL}],
        },
    },
    "malformed": {
        "content": b'{"prompt": "\xff',
        "headers": {"content-type": "application/json"},
    },
    "no type": {"content": b"it's `x`"},
    "half a pair": {
        "content": b'{"model": "dall-e-2", "prompt": "\\ud83d"}',
        "headers": {"content-type": "application/json"},
    },
    "models": {"method": "GET", "path": "/v1/models/dall-e-2?a=[b]"},
    "files": {
        "path": "/v1/files",
        "data": {"purpose": "vision"},
        "files": [("file", ("f.png", png(), "image/png"))],
    },
    "no key": {"json": SMALL, "headers": {"authorization": ""}},
    "deployment": {
        "path": "/openai/deployments/draw/images/generations?api-version=2025-04-01-preview",
        "json": {"prompt": "x", "size": "1024x1024"},
    },
    "deployment edit": {
        "path": "/openai/deployments/edit/images/edits?api-version=2025-04-01-preview",
        "data": {"prompt": "x", "quality": "low"},
        "files": [("image", ("a.png", png(), "image/png"))],
    },
    "azure": {"path": "/openai/v1/images/generations", "json": {"model": "draw", "prompt": "x"}},
}
"""Calls by a name: what httpx2 sends, with POST to generations where they say nothing else."""

BY_SDK = set(CALLS) - {
    *("no prompt", "wrong types", "edit with texts as images", "streamed json edit"),
    *("malformed", "no type", "models", "files", "no key"),
}
"""Calls that OpenAI's SDKs can make; JavaScript's also those without a prompt."""

UNTYPED = {"refused", "no prompt", "prototype", "headers", "edit with markup", "refused edit"}
"""Calls whose arguments are not those of the types of openai-node."""

DEPLOYMENTS = ("draw=dall-e-3", "edit=gpt-image-1")


class Recorded:
    """A server with the calls in its journal, and what the samples of a language repeated."""

    def __init__(self, server: Server, http: httpx2.Client) -> None:
        self.server = server
        self.http = http
        for arguments in CALLS.values():
            method, path = arguments.get("method", "POST"), arguments.get("path", GENERATIONS.path)
            rest = {k: v for k, v in arguments.items() if k not in {"method", "path"}}
            http.request(method, path, **rest)
        self.calls = dict(zip(CALLS, server.requests, strict=True))
        self._repeated: dict[str, dict[str, Exchange]] = {}

    def code(self, language: str, name: str) -> str:
        answer = self.http.get(f"/_emulator/requests/{self.calls[name].id}/code/{language}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.text

    def repeated(self, language: str, run: Callable[[list[str]], None]) -> dict[str, Exchange]:
        """The calls that the samples of a *language* made, which *run* has run in their order."""
        if language not in self._repeated:
            before = len(self.server.requests)
            run([self.code(language, name) for name in CALLS])
            made = self.server.requests[before:]
            self._repeated[language] = dict(zip(CALLS, made, strict=True))
        return self._repeated[language]


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        Server(Settings(port=0, deployment=DEPLOYMENTS)) as server,
        httpx2.Client(base_url=server.url, headers=headers, timeout=60) as http,
    ):
        yield Recorded(server, http)


def run_bash(samples: list[str]) -> None:
    for sample in samples:
        subprocess.run(["bash", "-c", sample], capture_output=True, check=True)  # noqa: S607 - as users have it


@pytest.fixture
def runners(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What runs the samples of a language, one after the other, in one process."""

    def run_all_python(samples: list[str]) -> None:
        for number, sample in enumerate(samples):
            (tmp_path / f"sample_{number}.py").write_text(sample)
        code = (
            "import openai, runpy, warnings\n"
            # The SDK calls variations deprecated.
            "warnings.simplefilter('ignore', DeprecationWarning)\n"
            f"for number in range({len(samples)}):\n"
            "    try:\n        runpy.run_path(f'sample_{number}.py')\n"
            "    except openai.APIStatusError as error:\n        print(error)\n"
        )
        done = run_python(code, tmp_path)
        assert done.returncode == 0, done.stderr

    def run_all_javascript(samples: list[str]) -> None:
        folder: Path = request.getfixturevalue("npm_folder")
        for number, sample in enumerate(samples):
            (folder / f"sample_{number}.mjs").write_text(sample)
        (folder / "samples.mjs").write_text(
            'import { APIError } from "openai";\n'
            f"for (let number = 0; number < {len(samples)}; number++)\n"
            "  try { await import(`./sample_${number}.mjs`); }\n"
            "  catch (error) { if (!(error instanceof APIError)) throw error; }\n"
        )
        runtime = shutil.which("node")
        assert runtime
        # The pictures are saved in the working directory.
        command = [runtime, str(folder / "samples.mjs")]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return {"curl": run_bash, "python": run_all_python, "javascript": run_all_javascript}


def essence(call: Exchange) -> dict[str, Any]:
    """What has to be the same of two calls, whatever client has sent them."""
    details = call.details
    return {
        "line": (call.method, call.path, parse_qsl(call.query, keep_blank_values=True)),
        "answer": (call.status, call.outcome, call.event_count, call.error),
        "key": call.key or None,
        "emulator": {k: v for k, v in call.headers.items() if k.startswith("x-emulator-")},
        "model": details.model,
        "prompt": details.prompt,
        "parameters": details.parameters,
        "sent": {*details.sent_names},
        "uploads": [(each.field, each.name, each.type, each.bytes) for each in details.uploads],
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
def test_code_makes_the_call_again(
    recorded: Recorded, runners: Any, language: str, name: str
) -> None:
    repeated = recorded.repeated(language, runners[language])[name]
    original = essence(recorded.calls[name])
    if language == "javascript" and name == "edit":
        # Forms of the web have no other line ends.
        original["prompt"] = re.sub("\r?\n", "\r\n", PROMPT)
    assert essence(repeated) == original


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CALLS)
def test_curl_sends_the_same_bytes(recorded: Recorded, runners: Any, name: str) -> None:
    assert recorded.repeated("curl", run_bash)[name].body == recorded.calls[name].body


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CALLS)
def test_code_uses_the_sdk_where_that_can_make_the_call(
    recorded: Recorded, runners: Any, name: str
) -> None:
    for language in ("python", "javascript"):
        made = recorded.repeated(language, runners[language])[name]
        by_sdk = name in BY_SDK
        if language == "javascript":
            by_sdk = (by_sdk and name != "large number") or name == "no prompt"
        sdk = "js" if language == "javascript" else language
        assert (made.sdk or "").startswith(f"openai-{sdk} ") == by_sdk


@pytest.fixture
def only_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions have the emulator's plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "images_emulator.pytest_plugin")


@pytest.mark.slow
@pytest.mark.usefixtures("only_plugin")
def test_a_test_makes_the_call_again_and_expects_its_answer(
    recorded: Recorded, tmp_path: Path
) -> None:
    for number, name in enumerate(CALLS):
        (tmp_path / f"test_{number}.py").write_text(recorded.code("pytest", name))
    # The SDK calls variations deprecated.
    options = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    done = run_pytest(["-q", "-p", "no:cacheprovider", *options], tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{len(CALLS)} passed" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("only_plugin")
def test_a_test_fails_where_the_answer_is_another(recorded: Recorded, tmp_path: Path) -> None:
    for name in ("prompt", "stream", "refused", "malformed"):
        sample = recorded.code("pytest", name)
        wrong = re.sub(r"(== |\[)(\d+)", lambda match: f"{match[1]}{int(match[2]) + 1}", sample)
        wrong = wrong.replace(".completed", ".complete")
        assert wrong != sample
        (tmp_path / f"test_{name}.py").write_text(wrong)
    done = run_pytest(["-q", "-p", "no:cacheprovider"], tmp_path)
    assert "4 failed" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("only_plugin")
@pytest.mark.parametrize(
    "fault",
    [
        "slow_down",
        {"kind": "error", "status": 418, "message": "it's"},
        {"kind": "error", "status": 404, "message": "q", "code": "zz", "param": "n"},
        "malformed",
        {"kind": "timeout", "seconds": 0.01},
        {"kind": "latency", "seconds": 0},
        "truncated",
        {"kind": "stream_error", "after": 1},
        {"kind": "stream_cut", "after": 1},
    ],
    ids=str,
)
def test_a_test_has_the_fault_the_date_and_the_validation_of_the_call(
    server: Server, http: httpx2.Client, tmp_path: Path, fault: Any
) -> None:
    server.emulator.configure(as_of="2026-11-01", validation="lenient")
    server.inject(fault)
    body: dict[str, Any] = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    body["colour"] = "red"
    if "stream" in str(fault):
        body |= {"stream": True, "partial_images": 1}
    try:
        http.post(GENERATIONS.path, json=body)
    except httpx2.TransportError:
        until(lambda: server.requests[0].has_ended)
    (call,) = server.requests
    code = http.get(f"/_emulator/requests/{call.id}/code/pytest").text
    assert '@pytest.mark.images_emulator(as_of="2026-11-01", validation="lenient")' in code
    assert "images_emulator.inject({" not in code
    (tmp_path / "test_it.py").write_text(code)
    done = run_pytest(["-q", "-p", "no:cacheprovider", "-W", "error"], tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("only_plugin")
@pytest.mark.parametrize(
    "fault", ["connection_reset", {"kind": "timeout", "seconds": 0.01}], ids=str
)
def test_a_test_by_plain_http_expects_no_answer_where_the_call_got_none(
    server: Server, http: httpx2.Client, tmp_path: Path, fault: Any
) -> None:
    server.inject(fault)
    with pytest.raises(httpx2.TransportError):
        http.get("/v1/models")
    until(lambda: server.requests[0].has_ended)
    (call,) = server.requests
    code = http.get(f"/_emulator/requests/{call.id}/code/pytest").text
    (tmp_path / "test_it.py").write_text(code)
    done = run_pytest(["-q", "-p", "no:cacheprovider", "-W", "error"], tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_test_of_a_fault_that_changed_nothing_expects_the_answer(
    server: Server, http: httpx2.Client
) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    http.post(GENERATIONS.path, json=body, headers={"x-emulator-fault": "stall"})
    (call,) = server.requests
    assert (call.fault, call.outcome) == ("stall", "answered")
    code = http.get(f"/_emulator/requests/{call.id}/code/pytest").text
    assert "pytest.raises" not in code
    assert "assert len(answer.data) == 1" in code


@pytest.mark.parametrize("operation", PYTHON_METHODS, ids=str)
def test_parameters_that_the_sdk_lacks_are_in_a_table(operation: Operation) -> None:
    method = getattr(openai.resources.Images, PYTHON_METHODS[operation])
    of_sdk = inspect.signature(method).parameters.keys()
    of_models = set().union(*(model.rules.get(operation, {}) for model in MODELS.values()))
    table = "NOT_IN_SDK in web/code_samples/sdk_call.py"
    missing = of_models - of_sdk - NOT_IN_SDK[operation]
    assert not missing, f"openai-python does not take {missing} by name: add them to {table}"
    there = NOT_IN_SDK[operation] & of_sdk
    assert not there, f"openai-python takes {there} by name: remove them from {table}"


def test_the_languages_are_those_of_the_address() -> None:
    assert [*LANGUAGES] == [*get_args(Language)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_code_has_no_key(recorded: Recorded, language: str, name: str) -> None:
    secret = "sk-proj-0123456789abcdefghij"
    code = recorded.code(language, name)
    assert secret not in code
    if language in {"python", "pytest"}:
        ast.parse(code)


def test_code_asks_for_the_admin_token_where_there_is_one() -> None:
    files = [("image", IMAGE), ("mask", MASK)]
    with (
        Server(Settings(port=0, admin_token="secret")) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer secret"}) as http,
    ):
        http.post(EDITS.path, data={"model": "gpt-image-2", "prompt": "x", "n": "0"}, files=files)
        http.post(EDITS.path, files=[("image[0]", (None, "\xff"))])
        for call in server.requests:
            for language in LANGUAGES:
                code = http.get(f"/_emulator/requests/{call.id}/code/{language}").text
                assert ("IMAGES_EMULATOR_ADMIN_TOKEN" in code) == ("/_emulator/" in code)
                assert "secret" not in code


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_is_404_where_the_body_is_not_kept(language: str) -> None:
    with (
        Server(Settings(port=0, journal_bytes=20_000)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer k"}) as http,
    ):
        image = ("a.png", png((300, 300)) + b"x" * 20_000, "image/png")
        http.post(EDITS.path, files={"image": image})
        path = f"/_emulator/requests/{server.requests[0].id}"
        assert http.get(path).json()["body_url"] is None
        for part in (f"code/{language}", "body", "uploads/0"):
            assert error_of(http.get(f"{path}/{part}"), 404)["code"] == "not_found"


@pytest.mark.parametrize(("language", "status"), [("ruby", 422), ("", 404)])
def test_code_in_an_unknown_language_is_refused(
    recorded: Recorded, language: str, status: int
) -> None:
    identity = recorded.calls["url"].id
    error_of(recorded.http.get(f"/_emulator/requests/{identity}/code/{language}"), status)


def test_a_long_body_comes_from_the_journal(recorded: Recorded, server: Server) -> None:
    body = SMALL | {"user": "u" * 200_000}
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=60) as http:
        http.post(GENERATIONS.path, json=body)
        (call,) = server.requests
        for language in LANGUAGES:
            code = http.get(f"/_emulator/requests/{call.id}/code/{language}").text
            assert len(code) < 2000
            assert f"/_emulator/requests/{call.id}/body" in code
    run_bash([http_code(server, call.id)])
    assert json.loads(server.requests[-1].body or b"") == body


def test_code_has_an_argument_in_each_line(recorded: Recorded) -> None:
    assert (
        recorded.code("python", "edit with markup").split("\n\n\n")[2]
        == f'''client = openai.OpenAI(
    base_url="{recorded.server.url}/v1",
    api_key=os.environ.get("OPENAI_API_KEY", "sk-test"),
    max_retries=0,
)
answer = client.images.edit(
    model="gpt-image-2.5-sunburst",
    prompt="x",
    quality="low",
    image=("a %22b%22 é.png", upload(0), "image/png"),
    markup=("m.png", upload(1), "image/png"),
)
for number, image in enumerate(answer.data):
    if image.url:
        print(image.url)
    else:
        Path(f"picture-{{number}}.png").write_bytes(base64.b64decode(image.b64_json))
'''
    )
    assert recorded.code("javascript", "refused").endswith("""
const answer = await client.images.generate({
    model: "gpt-image-2",
    prompt: "x",
    n: 0,
    colour: { "a-b": [1.5, null] },
});
for (const [number, image] of (answer.data ?? []).entries()) {
    if (image.url) console.log(image.url);
    if (image.b64_json) await writeFile(`picture-${number}.png`, image.b64_json, "base64");
}
""")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_javascript_is_strictly_typed_typescript(
    recorded: Recorded, npm_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(npm_folder / "node_modules", target_is_directory=True)
    shutil.copy(npm_folder / "package.json", tmp_path)
    shutil.copy(ROOT / "examples/nextjs/tsconfig.json", tmp_path)
    for number, name in enumerate(CALLS):
        (tmp_path / f"{number}.mts").write_text(recorded.code("javascript", name))
    command = [tmp_path / "node_modules/.bin/tsc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = re.findall(r"^(\d+)\.mts\(\d+,\d+\): error (\w+):", done.stdout, re.MULTILINE)
    names = [*CALLS]
    no_overload = "TS2769"
    assert {(names[int(number)], code) for number, code in errors} == {
        (name, no_overload) for name in UNTYPED
    }, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "files"),
    [
        ({"output_format": "jpeg", "n": 2}, ["picture-0.jpg", "picture-1.jpg"]),
        ({"stream": True, "partial_images": 1}, ["picture-0.png", "picture-1.png"]),
    ],
    ids=["pictures", "stream"],
)
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_code_saves_the_pictures(  # noqa: PLR0917 - three of them are what it is tried with
    server: Server,
    http: httpx2.Client,
    runners: Any,
    tmp_path: Path,
    language: str,
    parameters: dict[str, Any],
    files: list[str],
) -> None:
    small = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "quality": "low"}
    http.post(GENERATIONS.path, json=small | parameters).raise_for_status()
    code = http.get(f"/_emulator/requests/{server.requests[0].id}/code/{language}").text
    runners[language]([code])
    assert sorted(each.name for each in tmp_path.glob("picture-*")) == files
    for name in files:
        with Image.open(tmp_path / name) as image:
            assert image.format == ("JPEG" if name.endswith("jpg") else "PNG")


def http_code(server: Server, identity: str) -> str:
    return httpx2.get(f"{server.url}/_emulator/requests/{identity}/code/curl").text


@pytest.mark.slow
@pytest.mark.usefixtures("only_plugin")
def test_a_test_of_a_call_in_a_namespace_has_its_fault_in_its_own_server(
    server: Server, http: httpx2.Client, tmp_path: Path
) -> None:
    http.post("/ns/of-a-sample/_emulator/inject", json={"fault": "slow_down"})
    headers = {"x-emulator-namespace": "of-a-sample"}
    assert http.post(GENERATIONS.path, json=SMALL, headers=headers).status_code == 429
    (call,) = http.get("/ns/of-a-sample/_emulator/requests").json()["requests"]
    code = http.get(f"/ns/of-a-sample/_emulator/requests/{call['id']}/code/pytest").text
    (tmp_path / "test_it.py").write_text(code)
    done = run_pytest(["-q", "-p", "no:cacheprovider", "-W", "error"], tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("only_plugin")
def test_a_test_of_a_call_past_the_rate_limit_injects_its_error(tmp_path: Path) -> None:
    with Server(rate_limit="1/hour") as server, httpx2.Client(base_url=server.url) as http:
        for _ in range(2):
            answer = http.post(GENERATIONS.path, json=SMALL, headers={"authorization": "Bearer k"})
        assert answer.status_code == 429
        call = server.requests[-1]
        code = http.get(f"/_emulator/requests/{call.id}/code/pytest").text
    (tmp_path / "test_it.py").write_text(code)
    done = run_pytest(["-q", "-p", "no:cacheprovider", "-W", "error"], tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("language", ["python", "javascript", "pytest"])
def test_an_infinite_number_is_in_no_code(
    server: Server, http: httpx2.Client, language: str
) -> None:
    body = b'{"model": "gpt-image-2", "prompt": "x", "n": 1e400}'
    http.post(GENERATIONS.path, content=body, headers={"content-type": "application/json"})
    (call,) = server.requests
    code = http.get(f"/_emulator/requests/{call.id}/code/{language}").text
    assert "1e400" in code
    assert "n=inf" not in code
    assert "n: null" not in code


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_code_sends_integers_as_integers_and_floats_as_floats(
    server: Server, http: httpx2.Client, runners: Any, language: str
) -> None:
    numbers = ["1", "1.0", "-3.0", "-0.0", "1e20", "1e21", "1.5", "1e-7", str(2**60)]
    for number in numbers:
        body = f'{{"model": "gpt-image-2", "prompt": "x", "colour": {{"a": [{number}]}}}}'
        headers = {"content-type": "application/json"}
        http.post(GENERATIONS.path, content=body, headers=headers)
    calls = server.requests
    codes = [http.get(f"/_emulator/requests/{each.id}/code/{language}").text for each in calls]
    runners[language](codes)
    # `repr` tells 1 from 1.0, and 0.0 from -0.0.
    sent = [repr(json.loads(each.body or b"")["colour"]) for each in server.requests]
    assert sent[len(numbers) :] == sent[: len(numbers)]


@pytest.mark.parametrize("body", [b"x", b"\0"], ids=["text", "from the journal"])
def test_curl_makes_a_head_with_a_body_without_it(
    server: Server, http: httpx2.Client, body: bytes
) -> None:
    http.request("HEAD", GENERATIONS.path, content=body)
    (call,) = server.requests
    assert call.body == body
    run_bash([http_code(server, call.id)])
    repeated = server.requests[-1]
    assert (repeated.method, repeated.path, repeated.status) == ("HEAD", call.path, call.status)
    assert not repeated.body


def test_curl_sends_a_path_with_dots_as_it_is(server: Server, http: httpx2.Client) -> None:
    assert exchange(server.url, "GET", "/v1/../v1/models").response
    (call,) = server.requests
    code = http.get(f"/_emulator/requests/{call.id}/code/curl").text
    done = subprocess.run(["bash", "-c", f"{code.rstrip()} -s -o /dev/null"], check=True)  # noqa: S607 - as users have it
    assert done.returncode == 0
    assert [each.path for each in server.requests] == [call.path] * 2

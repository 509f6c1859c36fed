"""The commands that talk to a running server: draw, requests, inject, answer and reset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any, get_args

import httpx2
import openai
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Server, read_recipe
from images_emulator.cli import main
from images_emulator.cli.requests_command import FILTERS, _matcher
from images_emulator.imaging.formats import OUTPUT_FORMATS, format_of
from images_emulator.state.query import FILTER_NAMES, Has
from reliability.ports import free_port
from tests.answers import model_that_writes
from tests.conftest import KEY
from tests.pictures import BLUE, RED, answered, half_clear, png

TIME = r"\d\d:\d\d:\d\d"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


@pytest.fixture
def at(server: Server) -> tuple[str, str]:
    """The flag that leads a command to the server."""
    return "--url", server.url


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints, which ends well."""
    status = main(arguments)
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed.out


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence of a command that ends with the exit status 1."""
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.removeprefix("images-emulator: ").removesuffix("\n")


# --- draw


def test_draw_saves_a_picture_and_prints_its_path(
    at: tuple[str, str], server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--size", "1536x1024", "--quality", "low", "--format", "webp")
    assert output(capsys, "draw", "A lighthouse, at night!", *flags, *at) == (
        "a-lighthouse-at-night.webp\n"
    )
    with Image.open(folder / "a-lighthouse-at-night.webp") as picture:
        assert (picture.size, picture.format) == ((1536, 1024), "WEBP")
    (call,) = server.requests
    assert (call.prompt, call.parameters["quality"]) == ("A lighthouse, at night!", "low")


def test_draw_takes_the_newest_model_of_the_day(
    at: tuple[str, str], server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, model in (("2025-05-01", "gpt-image-1"), ("2026-05-01", "gpt-image-2")):
        server.emulator.configure(as_of=day)
        path = output(capsys, "draw", "x", *at).strip()
        assert read_recipe((folder / path).read_bytes())["model"].startswith(model)


@pytest.mark.parametrize("flags", [(), ("--edit", "x.png")], ids=["generation", "edit"])
def test_draw_is_one_call_which_alone_meets_a_fault(
    flags: tuple[str, ...],
    at: tuple[str, str],
    server: Server,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "x.png").write_bytes(png((64, 64)))
    server.inject("server_error")
    assert "server" in failure(capsys, "draw", "x", *flags, *at)
    (call,) = server.requests
    assert (call.method, call.fault) == ("POST", "server_error")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.jpg", "JPEG"),
        ("a.JPEG", "JPEG"),
        ("a", "PNG"),
    ],
)
def test_draw_saves_the_format_of_the_name(
    name: str,
    kind: str,
    at: tuple[str, str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output(capsys, "draw", "x", "-o", name, *at)
    with Image.open(folder / name) as picture:
        assert picture.format == kind


@pytest.mark.parametrize("word", OUTPUT_FORMATS)
def test_draw_saves_every_format_by_its_suffix(
    word: str, at: tuple[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output(capsys, "draw", "x", "--model", model_that_writes(word), "-o", f"a.{word}", *at)
    assert format_of((folder / f"a.{word}").read_bytes()) is OUTPUT_FORMATS[word]


@pytest.mark.parametrize("flags", [("--format", "webp"), ("--set", "output_format=webp")])
def test_draw_refuses_a_format_that_is_not_that_of_the_name(
    flags: tuple[str, ...], at: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["draw", "x", "-o", "a.jpg", *flags, *at])
    assert "a.jpg has the name of a file in jpeg, and the format is webp" in capsys.readouterr().err
    output(capsys, "draw", "x", "-o", "a.webp", *flags, *at)


def test_draw_never_replaces_a_file_that_is_not_named(
    at: tuple[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = output(capsys, "draw", "x", "--set", "n=2", *at)
    paths += output(capsys, "draw", "x", *at)
    assert paths.split() == ["x.png", "x-2.png", "x-3.png"]
    (folder / "named.png").touch()
    assert output(capsys, "draw", "x", "-o", "named.png", *at) == "named.png\n"
    assert (folder / "named.png").stat().st_size


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("日本 の 灯台", "日本-の-灯台.png"),
        ("../../x", "x.png"),
        ("…", "picture.png"),
        ("-", "picture.png"),
    ],
)
def test_draw_names_the_file_for_the_prompt(
    prompt: str, name: str, at: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert output(capsys, "draw", *at, "--", prompt) == f"{name}\n"


def test_draw_edits_files_under_a_mask(
    at: tuple[str, str], server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / 'a "b".png').write_bytes(png((64, 64)))
    (folder / "mask.png").write_bytes(half_clear())
    output(capsys, "draw", "x", "--edit", 'a "b".png', "--mask", "mask.png", *at)
    call = server.requests[-1]
    assert call.path == "/v1/images/edits"
    assert [(each.field, each.type) for each in call.uploads] == [
        ("image[0]", "image/png"),
        ("mask", "image/png"),
    ]


def test_draw_saves_a_hosted_picture(
    at: tuple[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output(capsys, "draw", "x", "--model", "dall-e-3", *at) == "x.png\n"
    assert read_recipe((folder / "x.png").read_bytes())["model"] == "dall-e-3"


def test_draw_streams_partial_images(
    at: tuple[str, str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", "x", "--stream", *at]) == 0
    printed = capsys.readouterr()
    assert printed.out == "x.png\n"
    assert printed.err == "partial image 1\npartial image 2\n"
    assert server.requests[-1].event_count == 3


FAILURES = {
    "moderation_blocked": r"Your request was rejected by the safety system\..*",
    "empty_data": "the answer has no picture",
    "stream_error --stream": ".+",
    "stream_cut --stream": "the stream ended before its picture",
    "connection_reset": r"http://\S+ did not answer \(.*\)",
    "truncated": r"the answer of http://\S+ broke off \(.*\)",
    "malformed": "the answer has the status 200, and no sentence",
    "malformed --stream": (
        r"the stream has an event image_generation\.partial_image without a valid "
        "partial_image_index"
    ),
}


@pytest.mark.parametrize(("fault", "sentence"), FAILURES.items(), ids=FAILURES)
def test_draw_that_fails_is_a_sentence(
    fault: str, sentence: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *flags = fault.split()
    server.inject(name)
    assert main(["draw", "x", *flags, "--url", server.url]) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(f"images-emulator: {sentence}", printed.err.splitlines()[-1])
    assert printed.out == ""


NO_PICTURE = "the answer has no picture"
NO_IMAGE = "the answer has an image with neither base64 nor URL"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, NO_PICTURE),
        ("abc", NO_PICTURE),
        ({"url": "x"}, NO_PICTURE),
        (["abc"], NO_IMAGE),
        ([None], NO_IMAGE),
        ([{"revised_prompt": "x"}], NO_IMAGE),
        ([{"b64_json": 1, "url": []}], NO_IMAGE),
        ([{"b64_json": "", "url": ""}], NO_IMAGE),
        ([{"b64_json": "é"}], "the answer has base64 that does not decode"),
    ],
    ids=json.dumps,
)
def test_draw_says_that_an_answer_has_no_picture(
    data: Any,
    sentence: str,
    server: Server,
    at: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.answer(raw={"body": {"data": data}})
    assert failure(capsys, "draw", "x", *at) == sentence


@pytest.mark.parametrize(
    "url",
    [
        *("http://[x", "x", "/x.png", "ftp://localhost/x", "http://", "http://localhost:x/"),
        *("http://localhost:99999/", "http://a:b@localhost/", f"http://{'a' * 70}.localhost/"),
        *("http://localhost/é", "http://local host/"),
    ],
)
def test_draw_says_which_url_of_an_answer_is_none(
    url: str, server: Server, at: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer(raw={"body": {"data": [{"url": url}]}})
    sentence = f"the answer has {url!r} as the URL of a picture"
    assert failure(capsys, "draw", "x", *at) == sentence


@pytest.mark.parametrize("data", ["{", "null", "[1]", "{}", '{"b64_json": null}'])
@pytest.mark.parametrize(
    ("event", "field"), [("partial_image", "partial_image_index"), ("completed", "b64_json")]
)
def test_draw_says_which_event_of_a_stream_has_no_valid_field(  # noqa: PLR0917 - fixtures, too
    event: str,
    field: str,
    data: str,
    server: Server,
    at: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"image_generation.{event}"
    server.answer(raw={"body": f"event: {name}\ndata: {data}\n\n"})
    sentence = f"the stream has an event {name} without a valid {field}"
    assert failure(capsys, "draw", "x", "--stream", *at) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--model", "gpt-image-2", "--size", "1000x1000"),
            "Invalid size '1000x1000'. Width and height must both be divisible by 16.",
        ),
        (("--edit", "none.png"), "none.png: No such file or directory"),
        (("-o", "none/x.png"), "none/x.png: No such file or directory"),
    ],
)
def test_draw_with_a_mistake_is_a_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    at: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failure(capsys, "draw", "x", *arguments, *at) == sentence


def test_draw_starts_a_server_of_its_own_where_none_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGES_EMULATOR_PORT", str(free_port()))
    monkeypatch.setenv("IMAGES_EMULATOR_AS_OF", "2025-05-01")
    monkeypatch.setenv("IMAGES_EMULATOR_API_KEY", "sk-own")
    assert output(capsys, "draw", "x") == "x.png\n"
    assert read_recipe((folder / "x.png").read_bytes())["model"] == "gpt-image-1"


def test_draw_starts_none_where_a_server_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    port = str(free_port())
    sentence = failure(capsys, "draw", "x", "-p", port)
    assert sentence.startswith(f"no server answers at http://127.0.0.1:{port} ")


# --- requests


def make_calls(client: OpenAI) -> None:
    client.images.generate(model="gpt-image-2", prompt="A lighthouse", n=2)
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model="gpt-image-2", prompt="A ship", size="1000x1000")


def test_requests_are_the_lines_of_the_terminal(
    at: tuple[str, str], client: OpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    make_calls(client)
    good, bad = output(capsys, "requests", *at).splitlines()
    assert re.fullmatch(TIME + r" 200 .* gpt-image-2 1254x1254 2 pictures [\d.]+ kB", good)
    assert re.fullmatch(TIME + r" 400 .* gpt-image-2 1000x1000  Invalid size .*", bad)
    assert "A ship" not in bad
    assert "prompt     A ship" in output(capsys, "requests", "-v", *at)


def test_requests_have_the_filters_of_the_journal() -> None:
    assert [*FILTERS] == [*FILTER_NAMES]


@pytest.mark.parametrize(
    ("filters", "prompts"),
    [
        ((), ["A lighthouse", "A ship"]),
        (("--status", "4xx"), ["A ship"]),
        (("--status", "200", "--status", "400"), ["A lighthouse", "A ship"]),
        (("--model", "gpt-*", "--prompt", "LIGHT"), ["A lighthouse"]),
        (("--has", "picture"), ["A lighthouse"]),
        (("--outcome", "refused"), ["A ship"]),
        (("--key", KEY), ["A lighthouse", "A ship"]),
        (("--key", "sk-other"), []),
        (("--text", "divisible"), ["A ship"]),
        (("--kind", "download"), []),
        (("-n", "1"), ["A ship"]),
    ],
)
def test_requests_as_json_are_those_that_match(
    filters: tuple[str, ...],
    prompts: list[str],
    at: tuple[str, str],
    client: OpenAI,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_calls(client)
    lines = output(capsys, "requests", "--json", *filters, *at).splitlines()
    assert [json.loads(line)["prompt"] for line in lines] == prompts


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("has", [each]) for each in get_args(Has)),
        ("method", ["get"]),
        ("path", ["*/edits", "*/models"]),
        ("model", ["gpt-image-1*"]),
        ("status", ["4xx"]),
        ("outcome", ["failed"]),
        ("key", [KEY]),
        ("prompt", ["LIGHT"]),
        ("text", ["divisible"]),
        ("fault", ["server_error"]),
        ("own_answer", ["*fox*"]),
        ("kind", ["download"]),
    ],
)
def test_filters_match_the_same_calls_of_the_live_feed(
    name: str, values: list[str], calls_of_all_kinds: Server
) -> None:
    url = f"{calls_of_all_kinds.url}/_emulator/requests"
    shown = httpx2.get(url).json()["requests"]
    matches = _matcher({name: values})
    expected = httpx2.get(url, params={name: values}).json()["requests"]
    assert expected
    assert [call for call in shown if matches(call)] == expected
    assert len(expected) < len(shown)


@pytest.fixture(scope="module")
def calls_of_all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose journal has a call for each filter."""
    folder = tmp_path_factory.mktemp("calls")
    fox, image, mask = folder / "fox.png", ("a.png", png((64, 64))), ("m.png", half_clear((64, 64)))
    fox.write_bytes(png((64, 64)))
    with Server() as recorded, OpenAI(base_url=recorded.base_url, api_key=KEY) as client:
        client.images.generate(model="gpt-image-1", prompt="Recorded")
        recorded.save_exchanges(folder / "exchanges")
    with (
        Server(replay=folder / "exchanges", on_miss="emulate", delay=False) as server,
        OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client,
    ):
        make_calls(client)
        images = client.images
        images.generate(model="gpt-image-1", prompt="Recorded")
        images.edit(model="gpt-image-1", prompt="A hat", image=image, mask=mask)
        [*images.generate(model="gpt-image-2", prompt="Streamed", stream=True)]
        lenient = {"x-emulator-validation": "lenient", "x-stainless-retry-count": "1"}
        images.generate(model="gpt-image-2", prompt="Odd", n=11, extra_headers=lenient)
        server.inject("server_error")
        with pytest.raises(openai.InternalServerError):
            images.generate(model="gpt-image-2", prompt="Failed")
        server.inject("stream_error")
        with pytest.raises(openai.APIError):
            [*images.generate(model="gpt-image-2", prompt="Cut", stream=True)]
        server.answer(fox, match={"prompt": "own"})
        images.generate(model="gpt-image-2", prompt="My own")
        (picture,) = images.generate(model="dall-e-2", prompt="Hosted").data or []
        assert httpx2.get(str(picture.url)).status_code == 200
        httpx2.get(f"{server.base_url}/models", headers={"authorization": "Bearer sk-other"})
        yield server


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ((), "(no calls yet)\n"),
        (("--status", "4xx"), "(no call matches)\n"),
        (("-n", "0"), ""),
        (("--json",), ""),
    ],
)
def test_no_requests_are_told_beside_the_standard_output(
    arguments: tuple[str, ...],
    note: str,
    at: tuple[str, str],
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not server.requests
    assert main(["requests", *arguments, *at]) == 0
    assert capsys.readouterr() == ("", note)


def test_requests_of_a_namespace_that_there_is_not_say_so(
    at: tuple[str, str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["requests", "--namespace", "none", *at]) == 0
    out, note = capsys.readouterr()
    assert (out, note[:36]) == ("", "(no call has named this namespace; '")
    httpx2.post(f"{server.url}/ns/none/_emulator/reset")
    assert main(["requests", "--namespace", "none", *at]) == 0
    assert capsys.readouterr().err == "(no calls yet)\n"


def test_requests_with_a_filter_without_meaning_are_a_sentence(
    at: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = failure(capsys, "requests", "--status", "99", *at)
    assert sentence.startswith("Invalid 'status': expected one such as 404 or 4xx, not '99'")


@pytest.fixture
def followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of its own, which a command can outlive."""
    with Server() as own:
        yield own


def test_requests_are_followed_with_filters_until_the_server_ends(
    followed: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses: list[int] = []
    arguments = ["requests", "-f", "--json", "--url", followed.url, "--status", "200"]
    with (
        OpenAI(base_url=followed.base_url, api_key=KEY, max_retries=0) as client,
        # To read from `capsys` would lose what is written at the same moment.
        redirect_stdout(StringIO()) as shown,
    ):
        make_calls(client)
        command = Thread(target=lambda: statuses.append(main(arguments)))
        command.start()
        while not followed.emulator.journal.observers:
            pass
        make_calls(client)
        client.images.generate(model="dall-e-2", prompt="x", n=2)
        while shown.getvalue().count("\n") < 3:
            pass
        followed.close()
        command.join()
    calls = [json.loads(line) for line in shown.getvalue().splitlines()]
    assert [call["model"] for call in calls] == ["gpt-image-2", "gpt-image-2", "dall-e-2"]
    assert len({call["id"] for call in calls}) == 3
    assert statuses == [1]
    assert capsys.readouterr().err == f"images-emulator: {followed.url} has ended\n"


# --- inject and reset


def test_injected_fault_meets_the_next_calls_that_match(
    at: tuple[str, str], client: OpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    text = output(
        capsys, "inject", "error", "status=503", "message=later", "--match", "prompt=ship", *at
    )
    assert text == "error status=503 message=later for the next call with prompt=ship\n"
    client.images.generate(model="gpt-image-2", prompt="A lighthouse")
    with pytest.raises(openai.InternalServerError, match="later"):
        client.images.generate(model="gpt-image-2", prompt="A ship")
    client.images.generate(model="gpt-image-2", prompt="A ship")


@pytest.mark.parametrize(
    ("flags", "words", "step"),
    [
        (("--times", "3"), "the next 3 calls", {"times": 3}),
        (("--times", "always"), "every call", {"times": None}),
        (("--times", "1"), "the next call", {"times": 1, "after": 0, "probability": 1, "seed": 0}),
        (("--after", "2"), "the next call after 2", {"times": 1, "after": 2}),
        (
            ("--times", "always", "--probability", "0.25", "--seed", "7", "--match", "n=2"),
            "every call with n=2, each by a chance of 0.25",
            {"probability": 0.25, "seed": 7},
        ),
    ],
)
def test_inject_says_which_calls_meet_a_fault(
    flags: tuple[str, ...],
    words: str,
    step: dict[str, Any],
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = output(capsys, "inject", "latency", "seconds=2", *flags, "--url", server.url)
    assert printed == f"latency seconds=2 for {words}\n"
    (injected,) = server.emulator.scenario.as_json()["steps"]
    assert injected["fault"]["seconds"] == 2
    assert step.items() <= injected.items()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("latncy",), "there is no fault 'latncy'; 'latency' is probably meant"),
        (("latency", "seconds"), "expected key=value, not 'seconds'"),
        (
            ("latency", "second=2"),
            "latency: unknown key 'second'; 'seconds' is probably meant; it takes seconds, jitter",
        ),
        (("empty_data", "x=1"), "empty_data: unknown key 'x'; it takes none"),
        (
            ("timeout", "--match", "prmpt=x"),
            "match: unknown key 'prmpt'; 'prompt' is probably meant; it takes path, model, prompt",
        ),
        (("timeout", "--match", "retry_count=x"), "match: retry_count: "),
        (("timeout", "--match", "fields=x", "--match", "fields.size=1"), "match: fields: "),
        (("timeout", "--times", "0"), "argument --times: must be a number of calls, or 'always'"),
        (("timeout", "--probability", "7"), "probability: input should be less than or equal to 1"),
        (("timeout", "--after", "-1"), "after: input should be greater than or equal to 0"),
        (("timeout", "--match", "prompt"), "argument --match: must be NAME=VALUE, not 'prompt'"),
    ],
)
def test_inject_with_a_mistake_is_a_usage_error(
    arguments: tuple[str, ...],
    sentence: str,
    at: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["inject", *arguments, *at])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_answer_sends_pictures_to_a_running_server(
    at: tuple[str, str],
    server: Server,
    client: OpenAI,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    files = [tmp_path / "fox one.png", tmp_path / "two.png"]
    for file, colour in zip(files, (RED, BLUE), strict=True):
        file.write_bytes(png(colour=colour))
    names = [str(file) for file in files]
    flags = ["--match", "prompt=fox", "--times", "1", "--fit", "contain"]
    text = output(capsys, "answer", *names, *flags, *at)
    assert text == f"{names[0]}, {names[1]} for the next call with prompt=fox\n"
    (step,) = server.emulator.scenario.as_json()["steps"]
    assert [each["name"] for each in step["answer"]["images"]] == ["fox one.png", "two.png"]
    answer = client.images.generate(model="gpt-image-2", prompt="a fox", n=2, size="1024x1024")
    corners = [each.convert("RGB").getpixel((0, 0)) for each in answered(answer)]
    assert corners == [RED, BLUE]
    output(capsys, "answer", names[0], "--verbatim", *at)
    client.images.generate(model="gpt-image-2", prompt="a fox")
    assert " from fox one.png" in output(capsys, "requests", *at)
    record = json.loads(output(capsys, "requests", "--json", *at).splitlines()[-1])
    assert record["own_answer"] == "fox one.png"


def test_answer_names_a_file_that_is_no_picture(
    at: tuple[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises(SystemExit) as end:
        main(["answer", str(tmp_path / "note.txt"), *at])
    assert end.value.code == 2
    assert "note.txt' is no PNG, JPEG, WebP or GIF" in capsys.readouterr().err


def test_reset_forgets_calls_and_faults(
    at: tuple[str, str], server: Server, client: OpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    make_calls(client)
    server.inject("timeout")
    assert output(capsys, "reset", *at) == f"{server.url} is as at its start\n"
    assert not server.requests
    assert not server.emulator.scenario


def test_admin_token_is_asked_for_and_sent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(admin_token="secret") as own:
        sentence = f"{own.url} wants its admin token: --admin-token, or the variable"
        assert failure(capsys, "requests", "--url", own.url).startswith(sentence)
        other = failure(capsys, "requests", "--url", own.url, "--admin-token", "x")
        assert other.startswith(f"{own.url} has another admin token than the one of --admin-token")
        assert output(capsys, "requests", "--url", own.url, "--admin-token", "secret") == ""
        monkeypatch.setenv("IMAGES_EMULATOR_ADMIN_TOKEN", "secret")
        assert output(capsys, "reset", "--url", own.url)


@pytest.mark.parametrize("form", ["flag", "url", "variable"])
def test_commands_are_for_one_namespace(
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    form: str,
) -> None:
    url = f"{server.url}/ns/a%20b"
    at = {"flag": ["--url", server.url, "--namespace", "a b"], "url": ["--url", f"{url}/v1"]}
    flags = at.get(form, [])
    if form == "variable":
        monkeypatch.setenv("IMAGES_EMULATOR_URL", url)
    monkeypatch.chdir(tmp_path)
    file = output(capsys, "draw", "A fox", "--model", "dall-e-2", "--size", "256x256", *flags)
    assert Path(file.strip()).read_bytes()[:4] == b"\x89PNG"
    output(capsys, "inject", "server_error", *flags)
    assert output(capsys, "requests", "--kind", "call", "--json", *flags).count("A fox") == 1
    assert f"OPENAI_BASE_URL={url}/v1" in output(capsys, "env", "--for", "dotenv", *flags)
    assert server.requests == []
    assert server.unmet_steps() == []
    assert output(capsys, "reset", *flags) == f"{url} is as at its start\n"
    assert output(capsys, "requests", *flags) == ""
    httpx2.delete(f"{server.url}/_emulator/namespaces/a%20b")


def test_namespaces_are_listed_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    with Server() as own:
        assert main(["namespaces", "--url", own.url]) == 0
        assert capsys.readouterr() == ("", "(no namespaces beside the default one)\n")
        for name, calls in {"one": 1, "a/b": 2}.items():
            for _ in range(calls):
                headers = {"Authorization": "Bearer sk-x", "x-emulator-namespace": name}
                httpx2.get(f"{own.url}/v1/models", headers=headers)
        lines = output(capsys, "namespaces", "--url", own.url).splitlines()
        assert [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", "TIME", line) for line in lines] == [
            "a/b  2 calls  TIME",
            "one   1 call  TIME",
        ]
        forgotten = output(capsys, "namespaces", "--delete", "a/b", "--url", own.url)
        assert forgotten == "the namespace a/b is forgotten\n"
        assert len(output(capsys, "namespaces", "--url", own.url).splitlines()) == 1
        sentence = failure(capsys, "namespaces", "--delete", "two", "--url", own.url)
        assert "two" in sentence


def test_a_wrong_namespace_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["requests", "--namespace", ".."])
    assert "expected 1 to 128 printable characters, not '..'" in capsys.readouterr().err

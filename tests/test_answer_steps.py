"""Steps with an answer: which call is answered by which picture, through the server and the SDK."""

from __future__ import annotations

import base64
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI
from PIL import Image

from images_emulator import Emulator, Server, read_recipe
from images_emulator.contract.answer_replacement import MAX_CREATED, AnswerOverrides
from images_emulator.contract.request import ImageRequest
from images_emulator.state.memory_store import MemoryStore
from images_emulator.step_documents.scenario_document import read_scenario
from tests.answers import error_of
from tests.conftest import KEY
from tests.documents import README
from tests.pictures import (
    BLUE,
    GREEN,
    RED,
    answered,
    encoded,
    half_clear,
    halves,
    opened,
    plain,
    png,
)
from tests.stores import JSONStore
from tests.test_streams import read_events

FOX: Final = {"model": "gpt-image-2", "prompt": "a fox", "size": "1024x1024"}
BY_URL: Final = {"model": "dall-e-2", "prompt": "a fox", "size": "256x256"}
COLOURS: Final = {"red": RED, "blue": BLUE, "green": GREEN}


def data_url(data: bytes, name: str = "") -> str:
    parameter = f";name={name}" if name else ""
    return f"data:image/png{parameter};base64,{base64.b64encode(data).decode()}"


def colour(picture: Image.Image) -> str:
    """The name of the colour in the corner of *picture*; `drawn` for any other."""
    corner = picture.convert("RGB").getpixel((0, 0))
    return next((name for name, each in COLOURS.items() if each == corner), "drawn")


def colours(client: OpenAI, **fields: Any) -> str:
    """The colours of the pictures that answer a call."""
    response = client.images.generate(**{**FOX, **fields})
    return " ".join(map(colour, answered(response)))


def pictures(folder: Path, *names: str) -> Path:
    """The *folder* with pictures of these colours: `red.png`, or `red=fox.png` by another name."""
    for each in names:
        shade, _, name = each.rpartition("=")
        shade = shade or name.partition(".")[0]
        (folder / name).write_bytes(png(colour=COLOURS[shade]))
    return folder


# --- what answers


def test_a_step_of_a_scenario_answers_with_the_file_beside_it(tmp_path: Path) -> None:
    pictures(tmp_path, "red.png")
    path = tmp_path / "day.toml"
    path.write_text('[[steps]]\nmatch = { prompt = "fox" }\nanswer = { image = "red.png" }\n')
    with (
        Server(scenario=str(path)) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        assert colours(client) == "red"
        assert colours(client, prompt="a ship") == "drawn"
        (call, other) = server.calls()
    assert (call.own_answer, other.own_answer) == ("red.png", None)
    assert str(other.near_misses[0]) == "step 1 (red.png): the prompt does not have 'fox'"


@pytest.mark.not_on_redis("a function answers in its own process alone")
@pytest.mark.parametrize(
    "image",
    [
        png(),
        bytearray(png()),
        data_url(png()),
        Path("red.png"),
        "red.png",
        plain(),
        lambda request, index: plain(request.size),
        lambda request, index: png(),
        lambda request, index: Path("red.png"),
        lambda request, index: "red.png",
        lambda request, index: data_url(png()),
    ],
    ids=str.split("bytes bytearray url path text image f-image f-bytes f-path f-text f-url"),
)
def test_a_picture_in_python_is_a_file_bytes_an_image_or_a_function(
    client: OpenAI, server: Server, image: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures(tmp_path, "red.png"))
    server.answer(image, match={"prompt": "fox"})
    (picture,) = answered(client.images.generate(**FOX))  # type: ignore[call-overload]
    assert (picture.size, colour(picture)) == ((1024, 1024), "red")


@pytest.mark.not_on_redis("a function answers in its own process alone")
def test_a_function_makes_each_picture_from_the_request(client: OpenAI, server: Server) -> None:
    seen = []

    def draw(request: ImageRequest, index: int) -> Image.Image:
        seen.append((request.prompt, request.size, index))
        return plain(colour=(RED, BLUE)[index])

    server.answer(draw)
    assert colours(client, n=2) == "red blue"
    assert seen == [("a fox", (1024, 1024), 0), ("a fox", (1024, 1024), 1)]
    assert server.calls()[0].own_answer == "function draw"


@pytest.mark.slow
def test_the_files_of_a_glob_answer_calls_in_turn(
    client: OpenAI, server: Server, tmp_path: Path
) -> None:
    pictures(tmp_path, "red=1.png", "blue=2.png", "green=3.png")
    server.answer(str(tmp_path / "*.png"))
    assert [colours(client) for _ in range(4)] == ["red", "blue", "green", "red"]
    names = [Path(call.own_answer or "").name for call in server.calls()]
    assert names == ["1.png", "2.png", "3.png", "1.png"]
    # A call with several has the next ones, too.
    assert colours(client, n=4) == "blue green red blue"
    server.reset()
    server.answer(str(tmp_path / "*.png"))
    assert colours(client) == "red"


def test_a_list_has_the_pictures_of_one_answer(client: OpenAI, server: Server) -> None:
    server.answer([png(), png(colour=BLUE)])
    assert [colours(client, n=3) for _ in range(2)] == ["red blue red"] * 2


@pytest.mark.parametrize(("fit", "corner"), [("cover", "red"), ("contain", "drawn"), (None, "red")])
def test_a_picture_of_another_shape_is_fitted(
    client: OpenAI, server: Server, fit: str | None, corner: str
) -> None:
    settings: dict[str, Any] = {"fit": fit} if fit else {}
    server.answer(png((50, 100)), **settings)
    (picture,) = answered(client.images.generate(**FOX))  # type: ignore[call-overload]
    assert (picture.size, colour(picture)) == ((1024, 1024), corner)


def test_an_exact_picture_refuses_a_call_for_another_size(client: OpenAI, server: Server) -> None:
    server.answer(png((1024, 1024)), fit="exact")
    assert colours(client) == "red"
    with pytest.raises(openai.BadRequestError, match="has 1024x1024 pixels, and the call asks for"):
        colours(client, size="1024x1536")


def test_verbatim_bytes_are_sent_as_they_are(http: httpx2.Client, server: Server) -> None:
    file = encoded(plain((32, 32)), "JPEG")
    server.answer(file, verbatim=True)
    answer = http.post("/v1/images/generations", json=FOX)
    assert base64.b64decode(answer.json()["data"][0]["b64_json"]) == file
    assert "has 32x32 pixels, not 1024x1024" in answer.headers["x-emulator-notice"]


def test_a_stream_has_own_partial_images(client: OpenAI, server: Server) -> None:
    server.answer(png(), partials=[png(colour=BLUE), png(colour=GREEN)])
    stream = client.images.generate(**FOX, stream=True, partial_images=3)  # type: ignore[call-overload]
    assert [colour(opened(event.b64_json)) for event in stream] == ["blue", "green", "red", "red"]


def test_a_hosted_picture_is_the_own_one(
    client: OpenAI, http: httpx2.Client, server: Server
) -> None:
    server.answer(png())
    response = client.images.generate(**BY_URL)  # type: ignore[call-overload]
    server.reset()
    server.answer(png())
    response = client.images.generate(**BY_URL)  # type: ignore[call-overload]
    file = http.get(response.data[0].url).content
    assert (opened(file).size, colour(opened(file))) == ((256, 256), "red")
    assert read_recipe(file)["prompt"] == "a fox"


@pytest.mark.parametrize("endpoint", ["edits", "variations"])
def test_edits_and_variations_are_answered(
    http: httpx2.Client, server: Server, endpoint: str
) -> None:
    server.answer(png(), match={"path": f"*/{endpoint}", "images": 1})
    fields = {"model": "dall-e-2", "size": "256x256", "response_format": "b64_json"}
    if endpoint == "edits":
        fields["prompt"] = "a fox"
    files = {"image": ("a.png", half_clear(), "image/png")}
    answer = http.post(f"/v1/images/{endpoint}", data=fields, files=files).json()
    assert colour(opened(answer["data"][0]["b64_json"])) == "red"


def test_calls_are_filtered_by_what_answered_them(
    client: OpenAI, http: httpx2.Client, server: Server
) -> None:
    server.answer(data_url(png(), "fox.png"), match={"prompt": "fox"})
    colours(client)
    colours(client, prompt="a ship")
    assert [call.prompt for call in server.calls(own_answer="fox*")] == ["a fox"]
    assert [call.prompt for call in server.calls(has="own_answer")] == ["a fox"]
    listed = http.get("/_emulator/requests", params={"own_answer": "ship*"}).json()
    assert listed["requests"] == []
    with pytest.raises(AssertionError, match=r"own_answer is '', not 'fox\.png'"):
        server.verify(own_answer="fox.png", prompt="ship")


def test_azure_is_answered(server: Server) -> None:
    server.answer(png(), match={"model": "gpt-image-2"})
    with AzureOpenAI(
        azure_endpoint=server.url, api_key=KEY, api_version="2025-04-01-preview"
    ) as client:
        assert colours(client) == "red"


def test_values_of_an_answer_stand_in_place_of_the_emulators(
    client: OpenAI, http: httpx2.Client, server: Server
) -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    headers = {"x-request-id": "req_mine", "x-more": ["1", "2"]}
    values: dict[str, Any] = {
        "usage": usage,
        "created": 7,
        "revised_prompt": "a fox, red",
        "headers": headers,
    }
    server.answer(**values)
    answer = http.post("/v1/images/generations", json=FOX)
    body = answer.json()
    assert (body["created"], body["usage"]) == (7, usage)
    assert body["data"][0]["revised_prompt"] == "a fox, red"
    assert colour(opened(body["data"][0]["b64_json"])) == "drawn"
    assert answer.headers["x-request-id"] == "req_mine"
    assert answer.headers.get_list("x-more") == ["1", "2"]
    assert server.calls()[0].own_answer == "answer"


def test_a_scenario_has_dates_as_toml_does(tmp_path: Path) -> None:
    path = tmp_path / "day.toml"
    path.write_text("[[steps]]\nanswer = { created = 1970-01-01T00:01:00 }\n")
    (step,) = read_scenario(str(path)).steps
    assert step.answer
    assert step.answer.overrides.created == 60


def test_an_answer_may_be_of_the_last_second_that_a_date_can_be() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert AnswerOverrides(created=MAX_CREATED).created_on(now) == last
    assert AnswerOverrides().created_on(now) == now


PNG_TEXT = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    ("raw", "kind", "body"),
    [
        ({"body": {"a": [1]}}, "application/json", b'{\n  "a": [\n    1\n  ]\n}'),
        ({"body": '{"a":1}'}, "application/json", b'{"a":1}'),
        ({"status": 503, "body": "<p>down"}, "text/html; charset=utf-8", b"<p>down"),
        ({"status": 429, "body": "later"}, "text/plain; charset=utf-8", b"later"),
        ({"body": b"\0\1"}, "application/octet-stream", b"\0\1"),
        ({"body": "event: a\n\n"}, "text/event-stream; charset=utf-8", b"event: a\n\n"),
        ({"status": 204}, None, b""),
        ({"headers": {"Content-Type": "a/b"}, "body": "x"}, "a/b", b"x"),
        ({"file": str(README)}, "text/markdown", README.read_bytes()),
        ({"file": png()}, "image/png", png()),
        ({"file": f"data:image/x;name=a.webp;base64,{PNG_TEXT}"}, "image/webp", png()),
        ({"file": f"data:;name=noext;base64,{PNG_TEXT}"}, "image/png", png()),
        ({"file": f"data:;name=a.svgz;base64,{PNG_TEXT}"}, "image/svg+xml", png()),
        ({"file": f"data:;name=a.css.br;base64,{PNG_TEXT}"}, "text/css", png()),
        ({"file": f"data:;name=data:text/css%2Ca.html;base64,{PNG_TEXT}"}, "text/html", png()),
        ({"file": f"data:;name=http://[x/a.css;base64,{PNG_TEXT}"}, "text/css", png()),
        ({"file": b"\0\1"}, "application/octet-stream", b"\0\1"),
    ],
    ids=str.split(
        "json text html plain bytes events empty typed file png webp noext"
        " svgz two-suffixes data-in-name url-in-name unknown"
    ),
)
def test_a_raw_answer_is_sent_as_it_is(
    http: httpx2.Client, server: Server, raw: dict[str, Any], kind: str | None, body: bytes
) -> None:
    server.answer(raw=raw)
    answer = http.post("/v1/images/generations", json=FOX)
    assert (answer.headers.get("content-type"), answer.content) == (kind, body)
    (call,) = server.calls()
    status = raw.get("status", 200)
    assert answer.status_code == call.status == status
    assert (call.own_answer, call.pictures) == (f"raw {status}", ())


def test_a_repeated_call_of_the_same_answer_has_the_same_picture_and_another_its_own(
    client: OpenAI, server: Server
) -> None:
    assert colours(client) == "drawn"
    server.answer(png(), match={"prompt": "fox"}, times=2)
    assert [colours(client) for _ in range(3)] == ["red", "red", "drawn"]
    server.answer(png(colour=BLUE), match={"prompt": "fox"})
    assert [colours(client) for _ in range(2)] == ["blue", "blue"]


# --- which call is answered


def test_a_mistake_fails_and_leaves_the_answer_for_the_next_call(
    client: OpenAI, server: Server
) -> None:
    server.answer(png(), times=1)
    with pytest.raises(openai.BadRequestError, match="Invalid size"):
        colours(client, size="1000x1000")
    assert [colours(client) for _ in range(2)] == ["red", "drawn"]


def test_the_rate_limit_comes_before_the_answer() -> None:
    with (
        Server(rate_limit="1/min") as server,
        OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client,
    ):
        colours(client)
        server.answer(png(), times=1)
        with pytest.raises(openai.RateLimitError):
            colours(client)
        server.clock.advance(minutes=2)
        assert colours(client) == "red"


def test_a_call_meets_a_fault_and_an_answer(client: OpenAI, server: Server) -> None:
    server.answer(png(), times=2)
    server.inject("latency", seconds=0)
    assert colours(client) == "red"
    (call,) = server.calls()
    assert (call.fault, call.own_answer, call.near_misses) == ("latency", "bytes", ())
    server.inject("server_error")
    with pytest.raises(openai.InternalServerError):
        colours(client)
    assert [colours(client) for _ in range(2)] == ["red", "drawn"]


def test_answers_count_as_faults_do(client: OpenAI, server: Server) -> None:
    step = {"after": 1, "times": 1, "answer": {"image": data_url(png())}}
    server.emulator.scenario.begin_document({"steps": [step, {"probability": 0, **step}]})
    assert [colours(client) for _ in range(3)] == ["drawn", "red", "drawn"]
    reasons = [[str(miss.reason) for miss in call.near_misses] for call in server.calls()]
    assert reasons == [
        ["lets the first 1 pass", "lets the first 1 pass"],
        [],
        ["has met its 1 calls", "was left to chance"],
    ]


@pytest.mark.slow
def test_a_number_of_calls_get_an_answer_however_many_come_at_once(
    client: OpenAI, server: Server
) -> None:
    server.answer(png(), times=5)
    with ThreadPoolExecutor(8) as pool:
        met = [*pool.map(lambda _: colours(client, quality="low"), range(16))]
    assert (met.count("red"), met.count("drawn")) == (5, 11)


def test_the_last_answer_for_all_calls_wins_after_those_for_a_number(
    client: OpenAI, server: Server
) -> None:
    server.answer(png())
    server.answer(png(colour=BLUE), times=1)
    server.answer(png(colour=GREEN))
    server.answer(png(), times=1)
    assert [colours(client) for _ in range(4)] == ["blue", "red", "green", "green"]


@pytest.mark.parametrize(
    ("match", "miss"),
    [
        ({"size": "1254x1254", "quality": "high", "n": 1, "background": "opaque"}, None),
        ({"size": "1536x1024"}, "size '1254x1254' is not '1536x1024'"),
        ({"n": 2}, "n 1 is not 2"),
        ({"has_mask": True}, "the call has no mask"),
        ({"images": 1}, "images 0 is not 1"),
        ({"prompt_name": "a-*"}, None),
        ({"fields": {"output_format": "png", "n": 1, "moderation": "auto"}}, None),
        ({"fields": {"output_format": "webp"}}, 'output_format is "png", not "webp"'),
        ({"fields": {"user": "ada"}}, None),
        ({"api_key": KEY, "retry_count": 0, "path": "*/generations"}, None),
    ],
)
def test_an_answer_matches_the_values_in_force(
    client: OpenAI, server: Server, match: dict[str, Any], miss: str | None
) -> None:
    call = {"prompt": "a fox", "model": "gpt-image-2", "user": "ada", "quality": "high"}
    server.answer(png(), match=match)
    for _ in range(2):  # the second is prepared already
        (picture,) = answered(client.images.generate(**call))  # type: ignore[call-overload]
        assert colour(picture) == ("drawn" if miss else "red")
    for each in server.calls():
        assert [near.reason for near in each.near_misses] == ([miss] if miss else [])


def test_near_misses_of_faults_and_answers_are_told_together(
    client: OpenAI, server: Server
) -> None:
    server.inject("timeout", match={"prompt": "ship"})
    server.answer(png(), match={"prompt": "boat"})
    colours(client)
    (call,) = server.calls()
    assert [str(each) for each in call.near_misses] == [
        "injected (timeout): the prompt does not have 'ship'",
        "injected (bytes): the prompt does not have 'boat'",
    ]


@pytest.mark.slow
def test_a_thousand_answers_are_found_by_their_prompts(client: OpenAI, server: Server) -> None:
    answer = {"image": data_url(png())}
    steps = [{"match": {"prompt_name": f"fox-{n}"}, "answer": answer} for n in range(1000)]
    server.emulator.scenario.begin_document({"steps": steps})
    assert [colours(client, prompt=f"Fox, {n}") for n in (0, 999, 1000, 999)] == [
        "red",
        "red",
        "drawn",
        "red",
    ]


# --- what a client is told of files


@pytest.mark.parametrize("options", [{"fit": "exact"}, {"verbatim": True}])
def test_a_client_is_told_the_name_of_a_file_and_not_its_folders(
    options: dict[str, Any], server: Server, http: httpx2.Client, tmp_path: Path
) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(encoded(plain((64, 64)), "PNG"))
    server.answer(str(path), **options)
    answer = http.post("/v1/images/generations", json={"model": "gpt-image-2", "prompt": "A fox"})
    text = f"{answer.headers} {answer.text}"
    assert "fox.png" in text
    assert str(tmp_path) not in text
    assert str(tmp_path.parent.name) not in text


# --- functions that fail


@pytest.mark.not_on_redis("a function answers in its own process alone")
@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "ValueError: it returned NoneType for image 0: expected a file: its path"),
        (b"junk", "ValueError: what it returned for image 0 is no PNG, JPEG, WebP or GIF"),
        ("none.png", "ValueError: it returned str for image 0: none.png: No such file"),
        ("/a/b/none.png", "ValueError: it returned str for image 0: none.png: No such file"),
        (Path("/a/b/none.png"), "it returned PosixPath for image 0: none.png: No such file"),
        (
            FileNotFoundError(2, "No such file", "/a/x.png"),
            "FileNotFoundError: No such file: x.png.",
        ),
        (KeyError("colour"), "KeyError: 'colour'"),
        (RuntimeError(), "RuntimeError."),
    ],
)
def test_a_function_that_fails_is_a_clear_error_and_in_the_log(
    client: OpenAI,
    server: Server,
    result: Any,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def draw(request: ImageRequest, index: int) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    server.answer(draw)
    with caplog.at_level(logging.ERROR), pytest.raises(openai.BadRequestError) as error:
        colours(client)
    sentence = "The function of the answer 'injected (function draw)' failed: "
    assert (error.value.code, error.value.body["message"][: len(sentence)]) == (  # type: ignore[index]
        "failed_answer",
        sentence,
    )
    assert reason in error.value.body["message"]  # type: ignore[index]
    (record,) = caplog.records
    assert "the function of the answer 'injected (function draw)' failed" in record.message
    assert record.exc_info


@pytest.mark.not_on_redis("a shared one takes no functions")
def test_a_function_that_names_two_files_for_one_image_fails(
    client: OpenAI, server: Server, tmp_path: Path
) -> None:
    pictures(tmp_path, "red.png", "blue.png")
    server.answer(lambda request, index: f"{tmp_path}/*.png")
    with pytest.raises(openai.BadRequestError, match=r"image 0: \*\.png stands for 2 files"):
        colours(client)


# --- mistakes

ONE_STEP: Final = '[[steps]]\nmatch = {{ prompt = "fox" }}\n[steps.answer]\n{}\n'

MISTAKES: Final[dict[str, tuple[int, str]]] = {
    'image = "none.png"': (4, "step 1: answer: image: none.png: No such file or directory"),
    'image = "*.gif"': (4, "step 1: answer: image: no file matches '*.gif'"),
    'image = "note.txt"': (4, "step 1: answer: 'note.txt' is no PNG, JPEG, WebP or GIF"),
    'image = "data:image/png,x"': (4, "this data: URL has no file in base64"),
    "image = []": (4, "step 1: answer: image: expected one file or more"),
    "image = 1": (4, "step 1: answer: image: expected a file: its path, a data: URL"),
    'image = "red.png"\nimages = ["red.png"]': (5, "has 'image' or 'images', not both"),
    'images = "red.png"': (4, "step 1: answer: images: expected a list of files"),
    "images = []": (4, "step 1: answer: images: expected one file or more"),
    'fit = "cover"': (4, "'fit' is for an answer with an 'image' or 'images'"),
    'image = "red.png"\nfit = "stretch"': (5, "input should be 'cover', 'contain' or 'exact'"),
    'image = "red.png"\npartials = ["note.txt"]': (5, "'note.txt' is no PNG"),
    'created = "now"': (4, "answer: created: input should be a valid integer, not 'now'"),
    "created = -1": (4, "'created' is seconds since 1970"),
    f"created = {MAX_CREATED + 1}": (4, "'created' is seconds since 1970"),
    **{
        f'headers = {{ {name} = "x" }}': (4, f"the server itself writes the header '{name}'")
        for name in ("Connection", "content-length", "Transfer-Encoding")
    },
    'headers = { "a b" = "c" }': (4, "'a b' is no name of a header"),
    "headers = { a = 1 }": (4, "header 'a' has a value that is no text"),
    'usage = "none"': (4, "usage: input should be a valid dictionary"),
    "usage = { at = 2026-12-01 }": (4, "usage: expected a value of JSON"),
    "raw = { body = { at = [2026-12-01] } }": (4, "raw: body: expected a value of JSON"),
    "image = { sha256 = [] }": (4, "step 1: answer: image: expected a file: its path"),
    "raw = { status = 100 }": (4, "raw: status: input should be greater than or equal to 200"),
    'raw = { status = 204, body = "x" }': (4, "an answer with status 204 has no body"),
    'raw = { body = "x", file = "red.png" }': (4, "it has a body or a file, not both"),
    'raw = { body = "x" }\nimage = "red.png"': (4, "an answer with 'raw' has nothing else"),
    'imag = "red.png"': (4, "unknown key 'imag'; 'image' is probably meant"),
    "": (3, "an answer has an 'image', or one of images, partials, fit"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_an_answer_is_told_with_its_line(text: str, tmp_path: Path) -> None:
    pictures(tmp_path, "red.png")
    (tmp_path / "note.txt").write_text("no picture")
    path = tmp_path / "day.toml"
    path.write_text(ONE_STEP.format(text))
    with pytest.raises(ValueError, match=r"day\.toml:") as error:
        read_scenario(str(path))
    line, sentence = MISTAKES[text]
    told = [each for each in str(error.value).splitlines() if sentence in each]
    assert told, error.value
    assert told[0].startswith(f"{path}:{line}: ")


def test_a_realistic_latency_delays_no_refusal_of_an_own_picture(
    server: Server, http: httpx2.Client
) -> None:
    # It would wait for many minutes.
    server.inject({"kind": "latency", "realistic": True, "scale": 100})
    server.answer(png((8, 8)), fit="exact")
    refused = http.post("/v1/images/generations", json={"model": "gpt-image-2", "prompt": "x"})
    assert refused.status_code == 400


def test_a_mistake_names_a_file_with_braces_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "{key}{sentence}.txt").write_text("no picture")
    path = tmp_path / "day.toml"
    path.write_text(ONE_STEP.format('image = "{key}{sentence}.txt"'))
    with pytest.raises(ValueError, match=r"'\{key\}\{sentence\}\.txt' is no PNG"):
        read_scenario(str(path))


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda request: None, "the function does not take a request and an index"),
        (lambda: None, "the function does not take a request and an index"),
    ],
)
def test_a_function_with_other_parameters_is_refused(
    server: Server, function: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        server.answer(function)


# --- the admin API and the store


def test_the_admin_api_takes_data_urls_and_shows_no_base64(
    http: httpx2.Client, client: OpenAI
) -> None:
    file = encoded(plain((640, 480)), "PNG")
    answer = {"image": data_url(file, "fox%20one.png"), "fit": "contain", "created": 7}
    shown = http.post("/_emulator/inject", json={"answer": answer, "match": {"prompt": "fox"}})
    (step,) = shown.json()["steps"]
    assert (step["title"], step["fault"], step["times"]) == ("injected (fox one.png)", None, None)
    (picture,) = step["answer"].pop("image")
    assert step["answer"] == {"fit": "contain", "created": 7}
    assert (picture["name"], picture["bytes"]) == ("fox one.png", len(file))
    assert (picture["size"], picture["format"]) == ("640x480", "png")
    assert len(picture["sha256"]) == 64
    assert len(shown.text) < 1000
    (drawn,) = answered(client.images.generate(**FOX))  # type: ignore[call-overload]
    assert drawn.convert("RGB").getpixel((512, 512)) == RED
    assert http.put("/_emulator/scenario", json={"steps": [{"answer": answer}]}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("image", ["red.png", "/etc/hostname", "*", "file:///etc/hostname"])
def test_the_admin_api_reads_no_path_of_the_server(
    http: httpx2.Client, server: Server, image: str, method: str
) -> None:
    for answer in ({"image": image}, {"images": [image]}, {"raw": {"file": image}}):
        step = {"answer": answer}
        body: Any = {"steps": [step]} if method == "PUT" else step
        path = "/_emulator/scenario" if method == "PUT" else "/_emulator/inject"
        message = error_of(http.request(method, path, json=body))["message"]
        assert "a path is not read from here; send the file itself, as a data: URL" in message
    assert not server.emulator.scenario


@pytest.mark.slow
def test_processes_that_share_a_store_answer_with_the_same_pictures() -> None:
    memory = MemoryStore()
    one, other = (Server(emulator=Emulator(store=JSONStore(memory))) for _ in range(2))
    with (
        one,
        other,
        OpenAI(base_url=one.base_url, api_key=KEY) as first,
        OpenAI(base_url=other.base_url, api_key=KEY) as second,
    ):
        one.answer([png(), halves()], match={"prompt": "fox"}, times=3)
        one.answer(raw={"status": 418, "body": b"\0tea"}, match={"prompt": "tea"})
        assert colours(first, n=2) == "red red"
        assert [colours(each) for each in (second, first, second)] == ["red", "red", "drawn"]
        with pytest.raises(openai.APIStatusError) as error:
            colours(second, prompt="tea")
        assert error.value.response.content == b"\0tea"
        with pytest.raises(ValueError, match="a function answers in its own process alone"):
            one.answer(lambda request, index: png())
        assert one.emulator.scenario.as_json() == other.emulator.scenario.as_json()


# --- steps that wait for a call


def test_steps_that_no_call_has_met_can_be_asked_for(
    client: OpenAI, http: httpx2.Client, server: Server
) -> None:
    server.inject("timeout", match={"prompt": "ship"})
    server.answer(png(), match={"prompt": "fox"}, times=2)
    server.answer(png(), match={"size": "64x64"})
    server.answer(png(), match={"prompt": "a"})
    assert len(server.unmet_steps()) == 4
    assert colours(client) == "red"
    assert [str(step) for step in server.unmet_steps()] == [
        "injected (timeout) for prompt='ship': no call",
        "injected (bytes) for prompt='fox': 1 of 2 calls",
        "injected (bytes) for prompt='a': no call",
        "injected (bytes) for size='64x64': no call",
    ]
    listed = http.get("/_emulator/scenario/unmet").json()["steps"]
    counts = [(each["met"], each["times"]) for each in listed]
    assert counts == [(0, 1), (1, 2), (0, None), (0, None)]
    assert listed[0]["title"] == "injected (timeout)"


def test_an_assertion_says_why_a_step_met_no_call(client: OpenAI, server: Server) -> None:
    server.verify_steps()
    server.answer(png(), match={"prompt": "ship"})
    colours(client)
    with pytest.raises(AssertionError) as error:
        server.verify_steps()
    first, step, call = str(error.value).splitlines()
    assert first == "these wait for a call:"
    assert step == "    injected (bytes) for prompt='ship': no call"
    assert call.startswith("        POST /v1/images/generations gpt-image-2 200 ")
    assert call.endswith("'a fox': the prompt does not have 'ship'")
    colours(client, prompt="a ship")
    server.verify_steps()


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ({"prompt": "wolf"}, "the prompt does not have 'wolf'"),
        ({"prompt_name": "a-*-wolf"}, "the prompt's name 'a-fox' is not 'a-*-wolf'"),
        ({"fields": {"n": 2}}, "n is 1, not 2"),
        ({"size": "1024x1024"}, "it met 'bytes'"),
    ],
)
def test_an_assertion_says_why_a_call_that_met_another_answer_did_not_meet_a_step(
    client: OpenAI, server: Server, match: dict[str, Any], reason: str
) -> None:
    server.answer(png(), times=1)
    server.answer(png(), match=match)
    colours(client)
    with pytest.raises(AssertionError) as error:
        server.verify_steps()
    _, _, call = str(error.value).splitlines()
    assert call.endswith(f"'a fox': {reason}")


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ({"prompt": "wolf"}, "the prompt does not have 'wolf'"),
        ({"fields": {"n": 2}}, "n is missing, not 2"),
        ({"image_sha256": "0" * 64}, f"no image has the SHA-256 {'0' * 64}"),
        ({}, "it met 'server_error'"),
    ],
)
def test_an_assertion_says_why_a_call_that_met_another_fault_did_not_meet_a_step(
    http: httpx2.Client, server: Server, match: dict[str, Any], reason: str
) -> None:
    server.inject("server_error")
    server.inject("slow_down", match=match)
    http.post("/v1/images/generations", json=FOX)
    with pytest.raises(AssertionError) as error:
        server.verify_steps()
    _, _, call = str(error.value).splitlines()
    assert call.endswith(f": {reason}")


def test_events_of_a_stream_are_those_of_the_answer(http: httpx2.Client, server: Server) -> None:
    server.answer(png(), usage={"total_tokens": 3})
    answer = http.post("/v1/images/generations", json=FOX | {"stream": True})
    (event,) = read_events(answer.text)
    assert event[1]["usage"] == {"total_tokens": 3}


@pytest.mark.parametrize("model", ["gpt-image-2", "dall-e-2"])
def test_an_assertion_knows_the_model_behind_the_deployment_of_a_call(
    http: httpx2.Client, server: Server, model: str
) -> None:
    server.inject("server_error")
    server.inject("slow_down", match={"model": model})
    http.post("/openai/deployments/gpt-image-2/images/generations", json={"prompt": "a fox"})
    with pytest.raises(AssertionError) as error:
        server.verify_steps()
    is_same = model == "gpt-image-2"
    reason = "it met 'server_error'" if is_same else "model 'gpt-image-2' is not 'dall-e-2'"
    assert str(error.value).endswith(reason)

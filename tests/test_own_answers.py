"""Answers with own pictures and with values of one's own, as clients and the journal see them."""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import httpx2
import pytest
from openai import OpenAI
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from images_emulator import Emulator, Server, read_recipe
from images_emulator.contract.answer_replacement import (
    NO_OVERRIDES,
    AnswerOverrides,
    AnswerReplacement,
    RawAnswer,
)
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.request import Upload
from images_emulator.exchange.exchange_packing import unpack_exchange
from images_emulator.exchange.retention import drop_body_and_pictures
from images_emulator.exchange.served_exchange import exchange_of
from images_emulator.imaging.decoder import decode
from images_emulator.own_answers.picture_files import PictureFile
from images_emulator.web.image_responses import ImageResponses
from images_emulator.web.prepared_call import PreparedCall
from tests.answers import error_of
from tests.conftest import KEY
from tests.pictures import BLUE, GREEN, RED, encoded, halves, opened, plain, png
from tests.stores import packed_exchange
from tests.test_streams import read_events

GENERATIONS: Final = "/v1/images/generations"
AT_AZURE: Final = (
    "/openai/deployments/gpt-image-2/images/generations?api-version=2025-04-01-preview"
)
CALL: Final = {"model": "gpt-image-2", "prompt": "a fox", "size": "1024x1024"}
BY_URL: Final = {"model": "dall-e-2", "prompt": "a fox", "size": "256x256"}
USAGE: Final = {
    "input_tokens": 3,
    "input_tokens_details": {"image_tokens": 1, "text_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"image_tokens": 7, "text_tokens": 0},
    "total_tokens": 10,
}

Answer = Callable[..., None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Makes own pictures and overrides, or a raw answer, the answer to all calls."""
    respond = ImageResponses.respond

    def use(*pictures: OwnPicture, raw: RawAnswer | None = None, **values: Any) -> None:
        overrides = AnswerOverrides(**values) if values else NO_OVERRIDES
        replacement = AnswerReplacement("answer", pictures or None, overrides)

        async def answered(
            self: ImageResponses, request: Request, prepared: PreparedCall, headers: Any
        ) -> Response:
            exchange = exchange_of(request.scope)
            if raw:
                return self.respond_raw(exchange, raw)
            prepared = prepared.with_replacement(replacement)
            exchange.request = prepared.image_request
            return await respond(self, request, prepared, headers)

        monkeypatch.setattr(ImageResponses, "respond", answered)

    return use


def pixel(data: bytes | str, x: int = 9, y: int = 9) -> Any:
    return opened(data).convert("RGB").getpixel((x, y))


def test_a_call_is_answered_by_an_own_picture(
    client: OpenAI, emulator: Emulator, answer: Answer
) -> None:
    data = png((200, 200), colour=GREEN)
    answer(OwnPicture(data))
    response = client.images.generate(**CALL)  # type: ignore[call-overload]
    picture = a2b_base64(response.data[0].b64_json)
    assert opened(picture).size == (1024, 1024)
    assert pixel(picture) == GREEN
    assert response.usage.total_tokens > 0
    assert read_recipe(picture)["own_picture"] == OwnPicture(data).digest
    (call,) = emulator.journal.find()
    assert call.image_indexes == (0,)


def test_a_repeated_call_gets_the_same_bytes_without_rendering(
    http: httpx2.Client, emulator: Emulator, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(OwnPicture(png(colour=GREEN)))
    first = http.post(GENERATIONS, json=CALL).json()["data"][0]["b64_json"]
    monkeypatch.setattr(emulator.renderer, "render_base64", None)
    monkeypatch.setattr("images_emulator.imaging.fitting.check_own_pictures", None)
    assert http.post(GENERATIONS, json=CALL).json()["data"][0]["b64_json"] == first


def test_calls_with_and_without_an_answer_share_no_part_of_it(
    http: httpx2.Client, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = http.post(GENERATIONS, json=CALL).json()
    answer(OwnPicture(png(colour=GREEN)), usage=USAGE)
    with_answer = http.post(GENERATIONS, json=CALL).json()
    monkeypatch.undo()
    after = http.post(GENERATIONS, json=CALL).json()
    assert with_answer["usage"] == USAGE != before["usage"] == after["usage"]
    assert before["data"][0]["b64_json"] == after["data"][0]["b64_json"]
    assert pixel(with_answer["data"][0]["b64_json"]) == GREEN != pixel(after["data"][0]["b64_json"])


def test_each_of_several_images_is_its_own_picture(http: httpx2.Client, answer: Answer) -> None:
    answer(OwnPicture(png(colour=GREEN)), OwnPicture(png(colour=BLUE)))
    data = http.post(GENERATIONS, json={**CALL, "n": 3}).json()["data"]
    assert [pixel(each["b64_json"]) for each in data] == [GREEN, BLUE, GREEN]


def test_an_own_picture_comes_by_url_with_the_same_bytes(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    answer(OwnPicture(png(colour=GREEN)), OwnPicture(png(colour=BLUE)))
    data = http.post(GENERATIONS, json={**BY_URL, "n": 2}).json()["data"]
    files = [http.get(each["url"]) for each in data]
    assert [each.headers["content-type"] for each in files] == ["image/png"] * 2
    assert [pixel(each.content) for each in files] == [GREEN, BLUE]
    inline = http.post(GENERATIONS, json={**BY_URL, "n": 2, "response_format": "b64_json"}).json()
    assert [a2b_base64(each["b64_json"]) for each in inline["data"]] == [
        each.content for each in files
    ]
    (call, *_) = emulator.journal.find()
    for index, file in enumerate(files):
        image = http.get(f"/_emulator/images/{call.id}/{index}")
        assert image.content == file.content


def test_urls_of_several_large_own_pictures_are_all_there(answer: Answer) -> None:
    files = [png(colour=colour) + bytes(100_000) for colour in (RED, GREEN, BLUE)]
    answer(*map(OwnPicture, files))
    with Server(hosted_bytes=400_000) as server:
        data = httpx2.post(
            f"{server.url}{GENERATIONS}",
            json={**BY_URL, "n": 3},
            headers={"authorization": f"Bearer {KEY}"},
        ).json()["data"]
        pictures = [httpx2.get(each["url"]) for each in data]
    assert [pixel(each.content) for each in pictures] == [RED, GREEN, BLUE]


@pytest.mark.slow
def test_a_stream_has_partial_images_of_the_own_picture(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    own = OwnPicture(encoded(halves((1024, 1024))), partials=(png(colour=GREEN),))
    answer(own)
    body = {**CALL, "stream": True, "partial_images": 2}
    events = [payload for _, payload in read_events(http.post(GENERATIONS, json=body).text)]
    given, preview, final = (each["b64_json"] for each in events)
    assert pixel(given) == GREEN
    assert pixel(preview, 512, 900) == pixel(final, 512, 900) == BLUE
    assert pixel(preview, 512, 9) == pixel(final, 512, 9) == RED
    (call,) = emulator.journal.find()
    for number, event in enumerate(events[:2]):
        path = f"/_emulator/images/{call.id}/0/partials/{number}"
        assert http.get(path).content == a2b_base64(event["b64_json"])
    tile = http.get(f"/_emulator/images/{call.id}/0/thumbnail/96").content
    assert opened(tile).size == (96, 96)
    assert opened(tile).convert("RGB").getpixel((48, 90))[2] > 180  # type: ignore[index]


def form(**files: bytes) -> dict[str, Any]:
    return {name: (f"{name}.png", data, "image/png") for name, data in files.items()}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/images/edits", {"model": "gpt-image-2", "prompt": "a hat", "size": "1024x1024"}),
        ("/v1/images/variations", {"response_format": "b64_json", "size": "256x256"}),
    ],
)
def test_uploads_are_answered_by_own_pictures(
    http: httpx2.Client, answer: Answer, path: str, fields: dict[str, str]
) -> None:
    answer(OwnPicture(png(colour=GREEN)))
    response = http.post(path, data=fields, files=form(image=png(colour=BLUE))).json()
    assert pixel(response["data"][0]["b64_json"]) == GREEN


def test_a_verbatim_picture_is_sent_and_shown_as_it_is(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    data = encoded(plain((30, 20)), "JPEG")
    answer(OwnPicture(data, verbatim=True, name="füchse.jpg"))
    response = http.post(GENERATIONS, json=CALL)
    assert a2b_base64(response.json()["data"][0]["b64_json"]) == data
    notice = response.headers["x-emulator-notice"]
    assert notice == (
        "'f\\xfcchse.jpg' is sent as it is: it has 30x20 pixels, not 1024x1024 and is jpeg, not png"
    )
    (call,) = emulator.journal.find()
    (picture,) = call.pictures
    assert (picture.width, picture.height, picture.format) == (30, 20, "jpeg")
    assert picture.bytes == len(data)
    image = http.get(f"/_emulator/images/{call.id}/0")
    assert image.headers["content-type"] == "image/jpeg"
    assert image.content == data
    by_url = http.post(GENERATIONS, json=BY_URL).json()["data"][0]["url"]
    assert http.get(by_url).headers["content-type"] == "image/jpeg"
    assert http.get(by_url).content == data


def test_each_verbatim_picture_by_url_has_its_own_media_type(
    http: httpx2.Client, answer: Answer
) -> None:
    files = [png(), encoded(plain(), "JPEG"), b"<svg/>", b"none"]
    answer(*(OwnPicture(each, verbatim=True) for each in files))
    data = http.post(GENERATIONS, json={**BY_URL, "n": 4}).json()["data"]
    sent = [http.get(each["url"]) for each in data]
    assert [each.content for each in sent] == files
    assert [each.headers["content-type"] for each in sent] == [
        *("image/png", "image/jpeg", "image/svg+xml", "application/octet-stream")
    ]


def test_previews_of_a_verbatim_picture_need_one_that_can_be_opened(
    http: httpx2.Client, answer: Answer
) -> None:
    answer(OwnPicture(b"nothing", verbatim=True))
    streamed = {**CALL, "stream": True, "partial_images": 1}
    assert error_of(http.post(GENERATIONS, json=streamed))["code"] == "unusable_own_picture"
    answer(OwnPicture(b"nothing", verbatim=True, partials=(b"part",)))
    events = [payload for _, payload in read_events(http.post(GENERATIONS, json=streamed).text)]
    assert [a2b_base64(each["b64_json"]) for each in events] == [b"part", b"nothing"]


def test_a_verbatim_picture_as_asked_for_has_no_notice(http: httpx2.Client, answer: Answer) -> None:
    answer(OwnPicture(png((1024, 1024)), verbatim=True))
    assert "x-emulator-notice" not in http.post(GENERATIONS, json=CALL).headers


@pytest.mark.parametrize("stream", [False, True], ids=["answer", "stream"])
@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (
            OwnPicture(png((300, 200)), fit="exact"),
            "'fox.png' cannot answer this call: it has 300x200 pixels, and the call asks for "
            "1024x1024.",
        ),
        (OwnPicture(b"nothing"), "'fox.png' cannot answer this call: it is no PNG, JPEG, WebP"),
        (OwnPicture(png((64, 64))[:90]), "'fox.png' cannot answer this call: it cannot be decoded"),
        (OwnPicture(b""), "'fox.png' cannot answer this call: it is no PNG, JPEG, WebP or GIF."),
    ],
    ids=["size", "no picture", "cut", "empty"],
)
def test_a_picture_that_cannot_answer_a_call_is_an_error_of_the_emulator(
    http: httpx2.Client, answer: Answer, own: OwnPicture, reason: str, stream: bool
) -> None:
    answer(replace(own, name="fox.png"))
    error = error_of(http.post(GENERATIONS, json={**CALL, "stream": stream}))
    assert error["code"] == "unusable_own_picture"
    assert reason in error["message"]


def test_a_partial_image_that_cannot_be_opened_is_an_error_where_it_is_asked_for(
    http: httpx2.Client, answer: Answer
) -> None:
    answer(OwnPicture(png(), partials=(b"nothing",), name="fox.png"))
    assert http.post(GENERATIONS, json=CALL).status_code == 200
    streamed = {**CALL, "stream": True, "partial_images": 1}
    error = error_of(http.post(GENERATIONS, json=streamed))
    assert "'fox.png, partial image 0'" in error["message"]


def test_an_answer_has_usage_created_and_revised_prompt_of_ones_own(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    answer(usage=USAGE, created=1_700_000_000, revised_prompt="A red fox.")
    response = http.post(GENERATIONS, json={**CALL, "n": 2})
    body = response.json()
    assert body["usage"] == USAGE
    assert body["created"] == 1_700_000_000
    assert [each["revised_prompt"] for each in body["data"]] == ["A red fox."] * 2
    (call,) = emulator.journal.find()
    assert call.usage
    assert call.usage.total_tokens == 10
    shown = json.loads(call.answer_body or "")
    for item, other in zip(body["data"], shown["data"], strict=True):
        item["b64_json"] = other["b64_json"] = ""
    assert shown == body


def test_events_have_usage_and_created_at_of_ones_own(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    answer(usage={"total_tokens": 5}, created=1_700_000_000)
    text = http.post(GENERATIONS, json={**CALL, "stream": True, "partial_images": 1}).text
    partial, final = (payload for _, payload in read_events(text))
    assert "usage" not in partial
    assert final["usage"] == {"total_tokens": 5}
    assert {partial["created_at"], final["created_at"]} == {1_700_000_000}
    (call,) = emulator.journal.find()
    assert call.usage is None
    shown = [payload for _, payload in read_events(call.answer_body or "")]
    assert shown[1]["usage"] == {"total_tokens": 5}


def test_a_model_that_counts_no_tokens_has_the_usage_of_ones_own(
    http: httpx2.Client, answer: Answer
) -> None:
    answer(usage=USAGE)
    assert http.post(GENERATIONS, json=BY_URL).json()["usage"] == USAGE


def test_urls_are_valid_from_now_on_whatever_created_tells(
    http: httpx2.Client, answer: Answer
) -> None:
    answer(OwnPicture(png(colour=GREEN)), created=1_000_000)
    body = http.post(GENERATIONS, json=BY_URL).json()
    assert body["created"] == 1_000_000
    assert http.get(body["data"][0]["url"]).status_code == 200


def test_headers_stand_in_place_of_the_api_s(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    answer(headers=(("X-Request-Id", "req_mine"), ("x-mine", "1"), ("x-mine", "2")))
    response = http.post(GENERATIONS, json=CALL)
    assert response.headers.get_list("x-request-id") == ["req_mine"]
    assert response.headers.get_list("x-mine") == ["1", "2"]
    assert response.headers["openai-version"]
    assert response.json()["data"]
    (call,) = emulator.journal.find()
    assert call.answer_headers["x-request-id"] == "req_mine"


def test_azure_answers_with_own_pictures_and_values_too(
    http: httpx2.Client, answer: Answer
) -> None:
    answer(
        OwnPicture(png(colour=GREEN)),
        usage=USAGE,
        created=7,
        headers=(("x-ms-region", "Mars"), ("apim-request-id", "mine")),
    )
    response = http.post(AT_AZURE, json={"prompt": "a fox", "size": "1024x1024"})
    body = response.json()
    assert (body["usage"], body["created"]) == (USAGE, 7)
    assert pixel(body["data"][0]["b64_json"]) == GREEN
    assert response.headers.get_list("x-ms-region") == ["Mars"]
    assert response.headers.get_list("apim-request-id") == ["mine"]
    assert response.headers["x-ms-deployment-name"] == "gpt-image-2"
    answer(OwnPicture(b"nothing"))
    error = error_of(http.post(AT_AZURE, json={"prompt": "a fox"}))
    assert error["code"] == "unusable_own_picture"


@pytest.mark.parametrize("status", [200, 418, 204])
def test_a_raw_answer_is_sent_as_it_is(
    http: httpx2.Client, emulator: Emulator, answer: Answer, status: int
) -> None:
    body = b"" if status == 204 else b'{"tea": "pot"}'
    headers = (("Content-Type", "application/tea"), ("x-request-id", "req_mine"))
    answer(raw=RawAnswer(status, headers, body))
    response = http.post(GENERATIONS, json=CALL)
    assert (response.status_code, response.content) == (status, body)
    assert response.headers["content-type"] == "application/tea"
    assert response.headers.get_list("x-request-id") == ["req_mine"]
    (call,) = emulator.journal.find()
    assert (call.status, call.pictures, call.usage) == (status, (), None)
    assert (call.answer_body or "").encode() == body
    assert call.parameters["size"] == "1024x1024"


def test_a_raw_answer_to_a_stream_has_the_events_of_its_body(
    http: httpx2.Client, answer: Answer
) -> None:
    text = 'event: error\ndata: {"type":"error"}\n\n'
    headers = (("content-type", "text/event-stream; charset=utf-8"),)
    answer(raw=RawAnswer(200, headers, text.encode()))
    response = http.post(GENERATIONS, json={**CALL, "stream": True})
    assert list(read_events(response.text)) == [("error", {"type": "error"})]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AnswerOverrides(created=-1),
            "'created' is seconds since 1970, at most 253402300799",
        ),
        (lambda: AnswerOverrides(headers=(("a b", "1"),)), "'a b' is no name of a header"),
        (
            lambda: AnswerOverrides(headers=(("a", "1\r\nb: 2"),)),
            r"header 'a' cannot have the value '1\r\nb: 2'",
        ),
        (
            lambda: AnswerOverrides(headers=(("a", "fúchs ☃"),)),
            "header 'a' cannot have the value 'fúchs ☃'",
        ),
        (
            lambda: RawAnswer(headers=(("Content-Length", "1"),)),
            "the server itself writes the header 'Content-Length'",
        ),
        (lambda: RawAnswer(199), "the status of an answer is 200 to 599, not 199"),
        (lambda: RawAnswer(600), "the status of an answer is 200 to 599, not 600"),
        (lambda: RawAnswer(204, (), b"x"), "an answer with status 204 has no body"),
        (lambda: RawAnswer(304, (), b"x"), "an answer with status 304 has no body"),
    ],
)
def test_values_that_no_answer_can_have_are_refused(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    "value",
    [
        OwnPicture(b"x", partials=(b"x",)),
        Upload("a.png", "image/png", b"x", 1),
        PictureFile("a.png", b"x"),
        decode(png()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_a_file_is_written_without_its_bytes(value: object) -> None:
    assert not re.search("[=(]b['\"]", repr(value))


def test_an_answer_is_as_little_as_it_says() -> None:
    assert RawAnswer() == RawAnswer(200, headers=(), body=b"")
    picture = OwnPicture(b"x")
    assert picture == OwnPicture(b"x", fit="cover", verbatim=False, partials=())
    assert picture.name == "picture"


def test_a_stored_call_has_its_own_pictures_and_values(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    own = OwnPicture(encoded(plain((30, 20)), "JPEG"), verbatim=True)
    answer(own, usage={"total_tokens": 5}, created=7, headers=(("x-mine", "1"),))
    http.post(GENERATIONS, json=CALL)
    answer(raw=RawAnswer(200, (("content-type", "text/plain"),)))
    http.post(GENERATIONS, json=CALL)
    for call in emulator.journal.find():
        document, data = packed_exchange(call)
        stored = unpack_exchange(document, data)
        for name in ("answer_body", "pictures", "usage", "answer_headers"):
            assert getattr(stored, name) == getattr(call, name), name
        for name in ("overrides", "is_raw"):
            assert getattr(stored.answer, name) == getattr(call.answer, name), name
        assert stored.request
        assert stored.request.own_pictures == call.request.own_pictures  # type: ignore[union-attr]


def test_the_journal_drops_own_pictures_with_the_bodies_of_the_oldest_calls(
    http: httpx2.Client, emulator: Emulator, answer: Answer
) -> None:
    own = OwnPicture(encoded(Image.effect_noise((256, 256), 80)))
    answer(own)
    http.post(GENERATIONS, json=CALL)
    (call,) = emulator.journal.find()
    assert call.weight > own.weight
    drop_body_and_pictures(call)
    assert call.weight < 8192 < own.weight
    assert (call.drawn_request, call.dropped) == (None, ("body", "pictures"))
    assert call.pictures[0].width == 1024
    assert call.usage

"""What the admin API tells of calls: summaries, counts, and what was let go of."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Server, Settings
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.usage import Usage
from images_emulator.exchange.sent_images import SentImage
from images_emulator.web.code_samples import LANGUAGES
from tests.answers import model_that_writes
from tests.conftest import KEY
from tests.pictures import encoded, half_clear, opened, png


@pytest.fixture
def admin(server: Server) -> Iterator[httpx2.Client]:
    """Plain HTTP without a key."""
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        yield client


def calls_of(admin: httpx2.Client, query: str = "") -> list[Any]:
    answer = admin.get(f"/_emulator/requests{query}")
    assert answer.status_code == 200, answer.text
    calls: list[Any] = answer.json()["requests"]
    return calls


def draw(http: httpx2.Client, **fields: Any) -> Any:
    body = {"model": "gpt-image-2", "prompt": "a lighthouse"} | fields
    return http.post(GENERATIONS.path, json=body)


# --- summaries


def test_a_call_has_what_was_sent_apart_from_its_defaults(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    draw(http, size="1024x1024", n=None)
    draw(http, size="7x7", colour="red")
    form = {"prompt": "x", "model": "gpt-image-2", "n": "1"}
    http.post(EDITS.path, data=form, files={"image[]": ("a.png", png(), "image/png")})
    first, second, third = calls_of(admin)
    assert first["sent"] == ["model", "prompt", "size", "n"]
    assert first["parameters"].keys() > {"size", "quality", "n"}
    assert second["sent"] == ["model", "prompt", "size", "colour"]
    assert third["sent"] == ["prompt", "model", "n", "image"]


def test_calls_are_numbered_from_the_last_reset_on(
    http: httpx2.Client, admin: httpx2.Client, server: Server
) -> None:
    for _ in range(3):
        http.get("/v1/models")
    assert [call["number"] for call in calls_of(admin)] == [1, 2, 3]
    assert [call.number for call in server.requests] == [1, 2, 3]
    admin.delete("/_emulator/requests")
    http.get("/v1/models")
    assert [call["number"] for call in calls_of(admin)] == [1]


def test_calls_have_the_notices_of_the_emulator(
    http: httpx2.Client, admin: httpx2.Client, server: Server
) -> None:
    notices = [
        [http.post("/v2/images/generations", json={}).headers["x-emulator-notice"]],
        [draw(http, model="dall-e-3").headers["x-emulator-notice"]],
        [],
    ]
    draw(http)
    assert notices[0][0].startswith("There is no /v2/images/generations; /v1/images/generations is")
    assert notices[1][0].startswith("dall-e-3 was shut down on ")
    calls = calls_of(admin)
    assert [call["notices"] for call in calls] == notices
    assert [call.notices for call in server.requests] == notices
    assert admin.get(f"/_emulator/requests/{calls[0]['id']}").json()["notices"] == notices[0]


def test_the_list_tells_how_many_calls_were_let_go() -> None:
    with (
        Server(Settings(port=0, journal_entries=2)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as http,
    ):
        for _ in range(5):
            http.get("/v1/models")
        listed = http.get("/_emulator/requests").json()
        assert [call["number"] for call in listed["requests"]] == [4, 5]
        assert (listed["total"], listed["dropped"]) == (2, 3)
        http.delete("/_emulator/requests")
        assert http.get("/_emulator/requests").json()["dropped"] == 0


def test_pictures_have_size_format_and_bytes(http: httpx2.Client, admin: httpx2.Client) -> None:
    answer = draw(http, n=2, size="1536x1024", output_format="jpeg", output_compression=10)
    (call,) = calls_of(admin)
    files = [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]
    url = f"/_emulator/images/{call['id']}"
    assert call["pictures"] == [
        {
            "index": index,
            "url": f"{url}/{index}",
            "thumbnail": f"{url}/{index}/thumbnail/96",
            "width": 1536,
            "height": 1024,
            "format": "jpeg",
            "bytes": len(file),
        }
        for index, file in enumerate(files)
    ]
    assert admin.get(f"{url}/1").content == files[1]


@pytest.mark.parametrize("output_format", ["gif", "svg", "webp"])
def test_pictures_of_every_format_have_their_size(
    http: httpx2.Client, admin: httpx2.Client, output_format: str
) -> None:
    fields = {"frame_count": 8} if output_format == "gif" else {}
    size = "512x512" if output_format == "gif" else "1024x1024"
    answer = draw(
        http,
        model=model_that_writes(output_format),
        output_format=output_format,
        size=size,
        **fields,
    )
    (call,) = calls_of(admin)
    (picture,) = call["pictures"]
    data = base64.b64decode(answer.json()["data"][0]["b64_json"])
    assert (picture["format"], picture["bytes"]) == (output_format, len(data))
    assert f"{picture['width']}x{picture['height']}" == size
    if output_format == "svg":
        # The model that writes it has a price that no source tells.
        assert (call["usage"] is None, call["price_usd"]) == (False, None)
    else:
        assert opened(data).size == (picture["width"], picture["height"])


def test_the_picture_of_a_stream_has_its_bytes(http: httpx2.Client, admin: httpx2.Client) -> None:
    for _ in range(2):
        draw(http, stream=True, partial_images=2, quality="low")
    for call in calls_of(admin):
        (picture,) = call["pictures"]
        assert picture["bytes"] == len(admin.get(picture["url"]).content)
        assert (call["event_count"], call["partial_count"]) == (3, 2)


def test_a_picture_by_url_has_no_bytes(http: httpx2.Client, admin: httpx2.Client) -> None:
    draw(http, model="dall-e-3", quality="hd")
    (call,) = calls_of(admin)
    assert [picture["bytes"] for picture in call["pictures"]] == [None]
    assert (call["usage"], call["price_usd"]) == (None, 0.08)


def test_a_refused_call_has_neither_pictures_nor_price(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    draw(http, n=0)
    (call,) = calls_of(admin)
    assert (call["outcome"], call["status"]) == ("refused", 400)
    assert (call["pictures"], call["usage"], call["price_usd"]) == ([], None, None)
    assert call["is_kept_whole"]


def test_python_has_what_the_list_has(server: Server, client: OpenAI) -> None:
    client.images.generate(model="gpt-image-2", prompt="x", quality="low")
    (call,) = server.requests
    assert (call.outcome, call.number, call.is_kept_whole) == ("answered", 1, True)
    assert call.sent_names == ("model", "prompt", "quality")
    assert call.usage == Usage(input_text=7, input_image=0, output_image=229)
    assert call.price_usd == (5 * 7 + 30 * 229) / 10**6
    (picture,) = call.pictures
    assert isinstance(picture, SentImage)
    assert (picture.index, picture.width, picture.height) == (0, 1254, 1254)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"model": "gpt-image-2", "prompt": "x", "n": ' + b"9" * 4000 + b"}"),
        ("application/json", b'{"prompt": "x", "svg": {"a": [1e999]}, "n": 1e400}'),
        ("application/json", b'{"prompt": "\\ud83d", "a\\ud83d": 1}'),
        ("application/json", b"[" * 10_000),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="image"; filename="\xed\xa0\xbd"\r\n\r\n'
            b'x\r\n--b\r\nContent-Disposition: form-data; name="prompt\xff"\r\n\r\n'
            b"\xed\xa0\xbd\r\n--b--",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data", b"--b--"),
    ],
)
def test_a_call_with_any_body_is_listed_shown_and_copied(
    http: httpx2.Client, admin: httpx2.Client, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type}
    assert http.post(EDITS.path, content=body, headers=headers).status_code == 400
    (call,) = calls_of(admin, "?counts=true&text=req_")
    address = f"/_emulator/requests/{call['id']}"
    for part in ("", "/body", *(f"/code/{language}" for language in LANGUAGES)):
        assert admin.get(f"{address}{part}").status_code == 200


# --- uploads


def test_uploads_of_json_link_to_their_bytes(http: httpx2.Client, admin: httpx2.Client) -> None:
    form = {"file": ("f.png", png((12, 12)), "image/png")}
    file_id = http.post("/v1/files", data={"purpose": "vision"}, files=form).json()["id"]
    data_url = "data:image/png;base64," + base64.b64encode(png((8, 8))).decode()
    images = [{"image_url": data_url}, {"file_id": file_id}, {"image_url": "https://x.example/a"}]
    body = {"model": "gpt-image-2", "prompt": "x", "images": images}
    assert http.post(EDITS.path, json=body).status_code == 200
    assert http.post(EDITS.path, json=body | {"n": 0}).status_code == 400
    _, accepted, refused = calls_of(admin)
    assert [upload["source"] for upload in accepted["uploads"]] == [
        "data_url",
        "file_id",
        "address",
    ]
    files = [admin.get(upload["url"]).content for upload in accepted["uploads"]]
    assert files[:2] == [png((8, 8)), png((12, 12))]
    # The placeholder of a picture that is not fetched.
    assert opened(files[2]).size == (1024, 1024)
    first, second, third = refused["uploads"]
    assert [admin.get(each["url"]).content for each in (first, second)] == files[:2]
    assert third["url"] is None
    assert [upload["thumbnail"] for upload in refused["uploads"]] == [None] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "https://user:hunter2@x.example/a.png?token=hunter2-hunter2-hunter2&w=1",
            "https://user:********@x.example/a.png?token=*******************ter2&w=1",
        ),
        (
            "https://x.blob.core.windows.net/a?se=2030&sig=hunter2%2Bhunter2%2Bhunter2&sp=r",
            "https://x.blob.core.windows.net/a?se=2030&sig=********&sp=r",
        ),
        ("https://hunter2hunter2@x.example/a.png", "https://********@x.example/a.png"),
        (
            f"https://x.example/a?Sig={'hunter2' * 3}#sig={'hunter2' * 3}",
            "https://x.example/a?Sig=********#sig=********",
        ),
        ("https://x.example/design?q=a:b@c", "https://x.example/design?q=a:b@c"),
        (f"https://x.example/?{'a=b&' * 10**4}", f"https://x.example/?{'a=b&' * 1000}"[:255] + "…"),
        ("not a URL?", "not a URL?"),
    ],
)
def test_the_address_of_an_image_is_shown_without_credentials(
    url: str, shown: str, http: httpx2.Client, admin: httpx2.Client
) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": url}]}
    http.post(EDITS.path, json=body)
    (call,) = calls_of(admin)
    assert call["uploads"][0]["name"] == shown
    exchange = admin.get(f"/_emulator/requests/{call['id']}/exchange").text
    assert "hunter2" not in exchange


@pytest.mark.parametrize(
    "value",
    [
        {"b": {"c": {"d": {"password": "hunter2"}}}},
        {"b": [[[{"password": "hunter2"}]]]},
        {"password": "hunter2", **{f"x{number}": ["y" * 256] * 20 for number in range(3)}},
    ],
    ids=["deep", "deep in lists", "long"],
)
def test_no_credential_is_shown_of_a_deep_or_long_value(
    value: Any, http: httpx2.Client, admin: httpx2.Client
) -> None:
    http.post(GENERATIONS.path, json={"model": "gpt-image-2", "prompt": "x", "a": value})
    (call,) = calls_of(admin)
    assert "a" in call["parameters"]
    assert "hunter2" not in admin.get(f"/_emulator/requests/{call['id']}").text.split('"body"')[0]
    assert "hunter2" not in str(call["parameters"])


def test_what_lenience_replaced_is_shown_as_it_was_sent(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    headers = {"x-emulator-validation": "lenient"}
    files = {"image": ("a.png", b"no picture", "image/png")}
    form = {"model": "gpt-image-2", "prompt": "x"}
    assert http.post(EDITS.path, data=form, files=files, headers=headers).status_code == 200
    (call,) = calls_of(admin)
    assert call["violations"]
    upload = admin.get(call["uploads"][0]["url"])
    assert upload.content == b"no picture"
    assert upload.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("file", "media_type"),
    [
        (png((8, 8)), "image/png"),
        (encoded(Image.new("RGB", (8, 8)), "GIF"), "image/gif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>x()</script></svg>", None),
        (b"<html><script>x()</script></html>", None),
    ],
    ids=["png", "gif", "svg", "html"],
)
def test_an_upload_that_may_have_a_script_is_served_without_its_type(
    http: httpx2.Client, admin: httpx2.Client, file: bytes, media_type: str | None
) -> None:
    http.post(EDITS.path, data={"model": "x"}, files={"image": ("a", file, "image/svg+xml")})
    (call,) = calls_of(admin)
    upload = admin.get(call["uploads"][0]["url"])
    assert upload.content == file
    assert upload.headers["content-type"] == (media_type or "application/octet-stream")


@pytest.mark.parametrize("index", ["1", "-1", "99", "9" * 30, "x"])
def test_an_upload_that_is_not_there_is_refused(
    http: httpx2.Client, admin: httpx2.Client, index: str
) -> None:
    form = {"model": "gpt-image-2", "prompt": "x", "n": "0"}
    http.post(EDITS.path, data=form, files={"image": ("a.png", png(), "image/png")})
    (call,) = calls_of(admin)
    answer = admin.get(f"/_emulator/requests/{call['id']}/uploads/{index}")
    assert answer.status_code in (404, 422)


def test_an_upload_whose_file_was_deleted_is_404(http: httpx2.Client, admin: httpx2.Client) -> None:
    form = {"file": ("f.png", png(), "image/png")}
    file_id = http.post("/v1/files", data={"purpose": "vision"}, files=form).json()["id"]
    body = {"model": "gpt-image-2", "prompt": "x", "n": 0, "images": [{"file_id": file_id}]}
    http.post(EDITS.path, json=body)
    url = calls_of(admin)[-1]["uploads"][0]["url"]
    assert admin.get(url).status_code == 200
    http.delete(f"/v1/files/{file_id}")
    assert admin.get(url).status_code == 404


# --- what was let go of


@pytest.mark.slow
def test_a_call_without_its_body_keeps_what_it_cost() -> None:
    form = {"model": "gpt-image-2", "prompt": "x", "quality": "low", "n": "2"}
    files = {
        "image": ("a.png", png((64, 64)) + b" " * 30_000, "image/png"),
        "mask": ("m.png", half_clear((64, 64)), "image/png"),
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        Server(Settings(port=0, journal_bytes=40_000)) as server,
        httpx2.Client(base_url=server.url, headers=headers, timeout=60) as http,
    ):
        answer = http.post(EDITS.path, data=form, files=files)
        assert answer.status_code == 200
        (call,) = calls_of(http)
        assert (call["is_kept_whole"], call["outcome"]) == (False, "answered")
        assert call["usage"]["total_tokens"] == answer.json()["usage"]["total_tokens"]
        assert call["price_usd"] == pytest.approx(
            (5 * call["usage"]["input_text_tokens"] + 8 * call["usage"]["input_image_tokens"])
            / 10**6
            + 30 * call["usage"]["output_tokens"] / 10**6,
        )
        assert [picture["url"] for picture in call["pictures"]] == [None, None]
        assert [picture["width"] for picture in call["pictures"]] == [1254, 1254]
        assert [upload["url"] for upload in call["uploads"]] == [None, None]
        detail = http.get(f"/_emulator/requests/{call['id']}").json()
        assert detail["dropped"] == ["body", "pictures"]


def test_a_body_that_is_too_long_is_not_kept() -> None:
    with (
        Server(Settings(port=0, max_body=1000)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer k"}) as http,
    ):
        assert draw(http, prompt="x" * 2000).status_code == 413
        (call,) = calls_of(http)
        assert not call["is_kept_whole"]


# --- counts


def test_counts_are_over_all_kept_calls_of_the_kind(
    http: httpx2.Client, admin: httpx2.Client, server: Server
) -> None:
    server.inject("slow_down", match={"prompt": "ship"})
    draw(http, n=2, quality="low")
    draw(http, prompt="a ship")
    draw(http, n=0)
    url = draw(http, model="dall-e-2", size="256x256").json()["data"][0]["url"]
    for _ in range(2):
        httpx2.get(url)
    http.get("/v1/models")
    answer = admin.get("/_emulator/requests?counts=true&limit=1&status=400&kind=call").json()
    assert len(answer["requests"]) == 1
    usage = server.requests[0].usage
    assert usage
    image = (5 * usage.input_tokens + 30 * usage.output_tokens) / 10**6
    assert answer["counts"] == {
        "model": {"gpt-image-2": 3, "dall-e-2": 1},
        "status": {"200": 3, "429": 1, "400": 1},
        "outcome": {"answered": 3, "refused": 2},
        "fault": {"slow_down": 1},
        "key": {KEY: 5},
        "path": {GENERATIONS.path: 4, "/v1/models": 1},
        "pictures": 3,
        "price_usd": pytest.approx(image + 0.016),
    }
    counts = admin.get("/_emulator/requests?kind=download&counts=true").json()["counts"]
    assert (counts["model"], counts["path"]) == ({"dall-e-2": 2}, {"/private/*": 2})
    assert admin.get("/_emulator/requests?path=/private/*").json()["total"] == 2
    assert admin.get("/_emulator/requests").json()["counts"] is None

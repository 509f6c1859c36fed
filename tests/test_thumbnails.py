"""Thumbnails, and the partial images of streams: what the admin API shows of pictures in small."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from threading import Event
from typing import Any

import httpx2
import pytest
from PIL import Image, ImageChops, ImageStat

from images_emulator import Emulator, Server, imaging
from images_emulator.contract.operations import EDITS, GENERATIONS, VARIATIONS, Operation
from images_emulator.imaging.decode_limits import DecodeLimits
from images_emulator.lru_cache import LRUCache
from images_emulator.rendering.job_queue import JobQueue
from tests.answers import error_of, model_that_writes
from tests.pictures import half_clear, opened, png


@pytest.fixture
def admin(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{server.url}/_emulator", timeout=60) as client:
        yield client


def thumbnail_of(answer: httpx2.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"] == "sandbox"
    image = Image.open(BytesIO(answer.content))
    is_clear = image.mode == "RGBA"
    assert image.format == ("WEBP" if is_clear else "JPEG")
    assert answer.headers["content-type"] == ("image/webp" if is_clear else "image/jpeg")
    assert not getattr(image, "is_animated", False)
    return image


def call(http: httpx2.Client, operation: Any = GENERATIONS, **fields: Any) -> httpx2.Response:
    answer = http.post(operation.path, **fields)
    assert answer.status_code == 200, answer.text
    return answer


def id_of(answer: httpx2.Response) -> str:
    return str(answer.headers["x-request-id"])


def payloads(stream: str) -> list[dict[str, Any]]:
    """The data of the events in *stream*."""
    return [json.loads(event.partition("\ndata: ")[2]) for event in stream.split("\n\n") if event]


def on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def difference(thumbnail: Image.Image, picture: Image.Image) -> float:
    """The mean difference of a channel, of 255, between *thumbnail* and *picture* shrunk, both on
    white."""
    small = on_white(picture).resize(thumbnail.size, Image.Resampling.BOX)
    statistics = ImageStat.Stat(ImageChops.difference(on_white(thumbnail), small))
    return max(statistics.mean)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size", "small", "tiny"),
    [
        ("gpt-image-2", "1024x1024", (480, 480), (96, 96)),
        ("gpt-image-2", "1024x1536", (320, 480), (64, 96)),
        ("gpt-image-2", "3840x2160", (480, 270), (96, 54)),
        ("dall-e-2", "256x256", (256, 256), (96, 96)),
    ],
)
def test_a_thumbnail_is_the_picture_in_small(  # noqa: PLR0917 - two fixtures, four facts
    http: httpx2.Client,
    admin: httpx2.Client,
    model: str,
    size: str,
    small: tuple[int, int],
    tiny: tuple[int, int],
) -> None:
    prompt = "A lighthouse at the end of the pier"
    identity = id_of(call(http, json={"model": model, "prompt": prompt, "size": size, "n": 2}))
    picture = opened(admin.get(f"/images/{identity}/1").content)
    other = opened(admin.get(f"/images/{identity}/0").content)
    for edge, pixels in ((480, small), (96, tiny)):
        thumbnail = thumbnail_of(admin.get(f"/images/{identity}/1/thumbnail/{edge}"))
        assert thumbnail.size == pixels
        assert difference(thumbnail, picture) < 12 < difference(thumbnail, other)


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize("operation", [EDITS, VARIATIONS], ids=lambda operation: operation.name)
def test_edits_and_variations_have_thumbnails(
    http: httpx2.Client,
    admin: httpx2.Client,
    emulator: Emulator,
    operation: Operation,
    is_cached: bool,
) -> None:
    prompt = {"prompt": f"{is_cached}"} if operation is EDITS else {}
    fields = {"model": "dall-e-2", "size": "512x512", **prompt}
    files = {"image": ("a.png", half_clear((64 + is_cached,) * 2), "image/png")}
    identity = id_of(call(http, operation, data=fields, files=files))
    if not is_cached:
        emulator.renderer.cache.clear()
    thumbnail = thumbnail_of(admin.get(f"/images/{identity}/0/thumbnail/480"))
    picture = opened(admin.get(f"/images/{identity}/0").content)
    assert thumbnail.size == (480, 480)
    assert difference(thumbnail, picture) < 6


@pytest.mark.parametrize("output_format", ["gif", "svg", "jpeg", "webp"])
def test_each_format_has_thumbnails(
    http: httpx2.Client, admin: httpx2.Client, output_format: str
) -> None:
    body = {"model": model_that_writes(output_format), "prompt": "x"}
    extra = {"svg": {"svg": {"model": "gpt-5.2"}}}.get(output_format, {})
    identity = id_of(call(http, json=body | {"output_format": output_format} | extra))
    assert thumbnail_of(admin.get(f"/images/{identity}/0/thumbnail/96")).width == 96


@pytest.mark.slow
def test_an_edit_as_svg_has_thumbnails(http: httpx2.Client, admin: httpx2.Client) -> None:
    fields = {"model": model_that_writes("svg", EDITS), "prompt": "x", "size": "1024x1024"}
    svg = {"output_format": "svg", "svg[model]": "gpt-5.2"}
    files = {"image": ("a.png", png((64, 64)), "image/png")}
    identity = id_of(call(http, EDITS, data=fields | svg, files=files))
    assert thumbnail_of(admin.get(f"/images/{identity}/0/thumbnail/96")).size == (96, 96)


def test_a_transparent_picture_has_a_transparent_thumbnail(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    body = {"model": "gpt-image-1", "prompt": "x", "background": "transparent"}
    identity = id_of(call(http, json=body))
    thumbnail = thumbnail_of(admin.get(f"/images/{identity}/0/thumbnail/96"))
    assert thumbnail.convert("RGBA").getchannel("A").getextrema() == (0, 255)


def test_one_drawing_gives_the_thumbnails_of_all_equal_pictures(
    http: httpx2.Client, admin: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    draw = imaging.thumbnails.thumbnails

    def counted(*arguments: Any) -> Any:
        drawn.append(arguments)
        return draw(*arguments)

    monkeypatch.setattr(imaging.thumbnails, "thumbnails", counted)
    body = {"model": "gpt-image-2", "prompt": "one drawing", "size": "1024x1024"}
    for _ in range(2):
        identity = id_of(call(http, json=body))
        for edge in (96, 480):
            thumbnail_of(admin.get(f"/images/{identity}/0/thumbnail/{edge}"))
    assert len(drawn) == 1


def test_thumbnails_are_cached_within_a_budget(emulator: Emulator) -> None:
    cache = emulator.renderer.thumbnails
    assert isinstance(cache, LRUCache)
    assert cache.budget == emulator.settings.cache // 4


# --- uploads


def uploaded(http: httpx2.Client, *files: bytes) -> str:
    """The path of the uploads of an edit that came with these *files*, which may be refused."""
    parts = [("image[]", (f"{n}.png", file, "image/png")) for n, file in enumerate(files)]
    answer = http.post(EDITS.path, data={"model": "gpt-image-2", "prompt": "x"}, files=parts)
    return f"/requests/{id_of(answer)}/uploads"


def test_uploads_have_thumbnails(http: httpx2.Client, admin: httpx2.Client) -> None:
    pictures = [png((640, 320)), half_clear((100, 200))]
    path = uploaded(http, *pictures)
    for index, sizes in enumerate((((480, 240), (96, 48)), ((100, 200), (48, 96)))):
        for edge, size in zip((480, 96), sizes, strict=True):
            thumbnail = thumbnail_of(admin.get(f"{path}/{index}/thumbnail/{edge}"))
            assert thumbnail.size == size
            assert difference(thumbnail, opened(pictures[index])) < 6
    assert thumbnail.convert("RGBA").getchannel("A").getextrema() == (0, 255)


def test_uploads_in_json_have_thumbnails(http: httpx2.Client, admin: httpx2.Client) -> None:
    url = f"data:image/png;base64,{b64encode(png((300, 300))).decode()}"
    body = {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": url}]}
    identity = id_of(call(http, EDITS, json=body))
    assert thumbnail_of(admin.get(f"/requests/{identity}/uploads/0/thumbnail/96")).size == (96, 96)


@pytest.mark.parametrize(
    "file",
    [
        b"no picture",
        b"",
        png((300, 300))[:-200],
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"GIF89a" + bytes(50),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        png()[:16] + (60_000).to_bytes(4) * 2 + png()[24:],
    ],
    ids=["text", "empty", "cut", "signature", "gif", "svg", "bomb"],
)
def test_an_upload_that_is_no_image_has_no_thumbnail(
    http: httpx2.Client, admin: httpx2.Client, file: bytes
) -> None:
    path = uploaded(http, file)
    for index in (0, 1, -1):
        answer = admin.get(f"{path}/{index}/thumbnail/96")
        assert error_of(answer, 404)["code"] == "not_found"
    error_of(admin.get(f"{path}/0/thumbnail/5"), 422)


@pytest.mark.parametrize(
    ("upload", "status"),
    [(png((333, 111)), 200), (b"no picture of any test", 404)],
    ids=["picture", "text"],
)
def test_equal_uploads_are_decoded_once_for_their_thumbnails(
    http: httpx2.Client,
    admin: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
    upload: bytes,
    status: int,
) -> None:
    decoded = []
    decode = imaging.thumbnails.upload_thumbnails

    def counted(data: bytes, limits: DecodeLimits) -> Any:
        decoded.append(data)
        return decode(data, limits)

    monkeypatch.setattr(imaging.thumbnails, "upload_thumbnails", counted)
    for _ in range(2):
        path = uploaded(http, upload)
        for edge in (96, 480):
            assert admin.get(f"{path}/0/thumbnail/{edge}").status_code == status
    assert decoded == [upload]


# --- pictures of the scenario


def injected(admin: httpx2.Client, **answer: Any) -> str:
    """The path of the pictures of a step with that *answer*."""
    (step, *_) = admin.post("/inject", json={"answer": answer}).json()["steps"]
    return f"/scenario/steps/{step['id']}/pictures"


def in_url(data: bytes) -> str:
    return f"data:image/png;base64,{b64encode(data).decode()}"


def test_pictures_that_a_step_answers_with_have_thumbnails(admin: httpx2.Client) -> None:
    pictures = [png((640, 320)), half_clear((100, 200))]
    path = injected(admin, images=[*map(in_url, pictures)])
    for index, (size, tiny) in enumerate((((480, 240), (96, 48)), ((100, 200), (48, 96)))):
        for edge, wanted in ((480, size), (96, tiny)):
            thumbnail = thumbnail_of(admin.get(f"{path}/{index}/thumbnail/{edge}"))
            assert thumbnail.size == wanted
            assert difference(thumbnail, opened(pictures[index])) < 6
    for index in (2, -1):
        error = error_of(admin.get(f"{path}/{index}/thumbnail/96"), 404)
        assert (error["code"], error["param"]) == ("not_found", "index")


def test_a_picture_that_cannot_be_opened_has_no_thumbnail(admin: httpx2.Client) -> None:
    path = injected(admin, image=in_url(b"no picture"), verbatim=True)
    assert error_of(admin.get(f"{path}/0/thumbnail/96"), 404)["code"] == "not_found"


def test_a_step_without_pictures_has_no_thumbnail(admin: httpx2.Client) -> None:
    path = injected(admin, revised_prompt="x")
    assert error_of(admin.get(f"{path}/0/thumbnail/96"), 404)["param"] == "index"
    error = error_of(admin.get("/scenario/steps/nobody/pictures/0/thumbnail/96"), 404)
    assert error["message"] == "The scenario has no step 'nobody'."


# --- partial images

STREAM = {
    "model": "gpt-image-2",
    "prompt": "a stream",
    "size": "1536x1024",
    "stream": True,
    "partial_images": 2,
}


def test_partial_images_that_were_sent_are_shown_while_the_stream_goes_on(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    fault = {"x-emulator-fault": "stall;after=1"}
    with http.stream("POST", GENERATIONS.path, json=STREAM, headers=fault) as answer:
        identity = id_of(answer)
        chunks = answer.iter_bytes()
        text = b""
        while not text.endswith(b"\n\n"):
            text += next(chunks)
        (sent,) = payloads(text.decode())
        shown = admin.get(f"/images/{identity}/0/partials/0")
        assert shown.headers["content-type"] == "image/png"
        assert shown.headers["cache-control"] == "private, max-age=31536000, immutable"
        partial = opened(sent["b64_json"])
        assert opened(shown.content) == partial
        thumbnail = thumbnail_of(admin.get(f"/images/{identity}/0/partials/0/thumbnail/480"))
        assert thumbnail.size == (480, 320)
        assert difference(thumbnail, partial) < 12
        for path in ("partials/1", "partials/1/thumbnail/96", "thumbnail/96"):
            error = error_of(admin.get(f"/images/{identity}/0/{path}"), 404)
            assert error["code"] == "not_found"


@pytest.mark.slow
def test_partial_images_are_shown_after_the_stream(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    answer = call(http, json=STREAM)
    partials = [event["b64_json"] for event in payloads(answer.text)][:-1]
    path = f"/images/{id_of(answer)}"
    shown = [admin.get(f"{path}/0/partials/{k}").content for k in range(2)]
    assert [opened(each) for each in shown] == [opened(each) for each in partials]
    tiny = [thumbnail_of(admin.get(f"{path}/0/partials/{k}/thumbnail/96")) for k in range(2)]
    assert {each.size for each in tiny} == {(96, 64)}
    assert tiny[0].tobytes() != tiny[1].tobytes()
    for part in ("0/partials/2", "1/partials/0", "0/partials/-1", "1/thumbnail/96"):
        assert error_of(admin.get(f"{path}/{part}"), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("0/thumbnail/97", 422),
        ("0/thumbnail/large", 422),
        ("one/thumbnail/96", 422),
        ("0/partials/x", 422),
        ("0/thumbnail/96", 404),
        ("0/partials/0", 404),
        ("0/partials/0/thumbnail/480", 404),
    ],
)
def test_a_picture_that_was_not_sent_has_no_thumbnail(
    http: httpx2.Client, admin: httpx2.Client, path: str, status: int
) -> None:
    refused = id_of(http.post(GENERATIONS.path, json={"model": "dall-e-3", "prompt": "x", "n": 9}))
    for identity in (refused, "req_x"):
        error_of(admin.get(f"/images/{identity}/{path}"), status)


# --- the queue


def test_jobs_for_later_wait_until_no_other_job_does() -> None:
    queue, free = JobQueue("test"), Event()
    order: list[str] = []

    def noted(word: str) -> Callable[[object], None]:
        return lambda _: order.append(word)

    queue.submit(lambda _: free.wait())
    later = [queue.submit(noted(f"later {n}"), low_priority=True) for n in range(2)]
    queue.withdraw(queue.submit(noted("withdrawn"), low_priority=True))
    now = [queue.submit(noted(f"now {n}")) for n in range(2)]
    free.set()
    for each in (*later, *now):
        each.result(timeout=30)
    assert order == ["now 0", "now 1", "later 0", "later 1"]
    queue.close()


@pytest.mark.parametrize("later", [False, True])
def test_a_withdrawn_job_waits_no_longer(later: bool) -> None:
    queue, begun, free = JobQueue("test"), Event(), Event()

    def hold(_: object) -> None:
        begun.set()
        free.wait()

    queue.submit(hold)
    assert begun.wait(30)
    job = queue.submit(lambda _: None, low_priority=later)
    assert queue.pending_count == 1
    queue.withdraw(job)
    assert job.cancelled()
    assert queue.pending_count == 0
    free.set()
    queue.close()


def test_a_closed_queue_cancels_jobs_for_later() -> None:
    queue, free = JobQueue("test"), Event()
    queue.submit(lambda _: free.wait())
    later = queue.submit(lambda _: None, low_priority=True)
    queue.close()
    free.set()
    assert later.cancelled()

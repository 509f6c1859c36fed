"""The output formats: each one that the table knows is written, and is what it says."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from io import BytesIO
from typing import Any, cast

import httpx2
import pytest
from openai import OpenAI
from PIL import Image, ImageChops, ImageSequence

from images_emulator import read_recipe
from images_emulator.contract.models import MODELS, words_of
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Choice
from images_emulator.exchange.part_readers import ParsedBodyReader
from images_emulator.exchange.sent_answer import SentAnswer
from images_emulator.file_types import FILE_TYPES, FileType
from images_emulator.imaging.formats import (
    OUTPUT_FORMATS,
    OutputFormat,
    format_of,
    frame_delay,
    pillow_name,
)
from images_emulator.imaging.recipe import recipe_json
from images_emulator.imaging.render import media_type, render_image
from images_emulator.recordings.document_check import schema
from tests.answers import model_that_writes
from tests.pictures import encoded, halves, png

pytestmark = pytest.mark.not_on_redis("is about drawing")

MODEL = "gpt-image-2.6-sunburst"
SVG = "{http://www.w3.org/2000/svg}"


def test_the_output_formats_are_those_of_the_table() -> None:
    assert words_of("output_format") == OUTPUT_FORMATS.keys()


def test_exchange_files_can_describe_each_format_that_pillow_writes() -> None:
    Image.init()
    written = {pillow_name(each.file_type) for each in OUTPUT_FORMATS.values()} & Image.SAVE.keys()
    described = schema()["$defs"]["picture"]["properties"]["format"]["enum"]
    assert written <= {*described}, "`picture` of recordings/schema.json lacks a format"


@pytest.mark.parametrize(
    "output_format", [name for name, each in OUTPUT_FORMATS.items() if each.encode is None]
)
@pytest.mark.parametrize(
    "stream", [{"stream": True}, {"partial_images": 1}], ids=["stream", "partial_images"]
)
def test_a_format_without_encode_is_refused_in_streams(
    http: httpx2.Client, output_format: str, stream: dict[str, Any]
) -> None:
    for model in MODELS.values():
        rule = model.rules.get(GENERATIONS, {}).get("output_format")
        if isinstance(rule, Choice) and output_format in rule.words:
            body = {"model": model.id, "prompt": "x", "output_format": output_format, **stream}
            answer = http.post("/v1/images/generations", json=body)
            assert answer.status_code == 400, (
                f"{output_format} has no `encode`: name it in UNSTREAMED_FORMATS of model_rules.py"
            )
            assert answer.json()["error"]["param"] == next(iter(stream))


def test_a_format_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = OutputFormat(
        file_type=FileType("made up", "image/x-made-up", (".made",), rb"....made"),
        render=lambda request, index, draw: b"\0\0\0\x20made" + recipe_json(request, index),
        read_recipe=lambda image_file: image_file[8:],
    )
    monkeypatch.setitem(cast("dict[str, OutputFormat]", OUTPUT_FORMATS), "made-up", made_up)
    request = ImageRequest(
        operation=GENERATIONS,
        model=MODELS[MODEL],
        prompt="a lighthouse",
        size=(64, 64),
        output_format="made-up",
    )
    file = render_image(request, 0)
    assert media_type(request) == "image/x-made-up"
    assert read_recipe(file)["prompt"] == "a lighthouse"
    answer = SentAnswer()
    answer.start(200, (), ParsedBodyReader(answer))
    item = {"b64_json": base64.b64encode(file + b" " * (-len(file) % 3)).decode()}
    answer.add(json.dumps({"data": [item]}).encode(), 1)
    answer.end()
    assert answer.image_indexes == (0,)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, "\udcff"])
def test_a_picture_with_a_text_that_is_no_recipe_carries_none(text: str) -> None:
    file = b'<svg xmlns="x"><metadata id="openai-images-emulator">%b</metadata></svg>'
    with pytest.raises(ValueError, match="this picture carries no recipe"):
        read_recipe(file % text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_a_file_is_known_by_its_first_bytes(client: OpenAI, output_format: str) -> None:
    model = model_that_writes(output_format)
    beginning = generate(client, model=model, output_format=output_format)[:48]
    assert format_of(beginning) is OUTPUT_FORMATS[output_format]
    alike = [word for word, each in FILE_TYPES.items() if each.signature.match(beginning)]
    assert alike == [output_format]


def generate(client: OpenAI, **fields: Any) -> bytes:
    response = client.images.generate(**({"model": MODEL, "prompt": "a lighthouse"} | fields))
    return base64.b64decode(response.data[0].b64_json)  # type: ignore[index, arg-type]


def frames_of(data: bytes) -> list[Image.Image]:
    with Image.open(BytesIO(data)) as image:
        assert image.format == "GIF"
        return [frame.convert("RGBA") for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("count", [None, 2, 9, 16])
def test_a_gif_has_its_frames_and_all_differ(client: OpenAI, count: int | None) -> None:
    fields = {"frame_count": count} if count else {}
    data = generate(client, output_format="gif", size="384x384", **fields)
    frames = frames_of(data)
    assert len(frames) == (count or 9)
    assert {frame.size for frame in frames} == {(384, 384)}
    assert len({frame.tobytes() for frame in frames}) == len(frames)
    with Image.open(BytesIO(data)) as image:
        assert image.info["duration"] == 200
        assert image.info["loop"] == 0


@pytest.mark.parametrize(
    ("count", "size", "status"),
    [
        # 655,360 pixels on the sheet, and the next size below
        (8, "256x320", 200),
        (8, "256x304", 400),
        (16, "160x256", 200),
        (16, "160x240", 400),
        # three columns up to nine frames, four of them from ten on; 3,840 is the longest edge
        (9, "1280x432", 200),
        (10, "1280x432", 400),
        (8, "960x320", 200),
        (8, "976x336", 400),
    ],
)
def test_the_sheet_of_all_frames_keeps_the_limits_of_a_picture(
    http: httpx2.Client, count: int, size: str, status: int
) -> None:
    fields = {"frame_count": count, "size": size, "quality": "low"}
    body = {"model": MODEL, "prompt": "x", "output_format": "gif"} | fields
    answer = http.post("/v1/images/generations", json=body)
    assert (answer.status_code, answer.json().get("error", {}).get("param")) == (
        status,
        "size" if status == 400 else None,
    )


@pytest.mark.parametrize(
    ("delay", "encoded_delay"),
    [(1, 10), (14, 10), (15, 20), (204, 200), (655_350, 655_350), (10**7, 655_350)],
)
def test_a_delay_is_rounded_and_capped(delay: int, encoded_delay: int) -> None:
    assert frame_delay(delay) == encoded_delay


def test_a_gif_has_the_delay_that_was_asked(client: OpenAI) -> None:
    data = generate(
        client, output_format="gif", size="384x384", frame_count=2, frame_duration_ms=333
    )
    with Image.open(BytesIO(data)) as image:
        assert image.info["duration"] == 330


def test_a_transparent_gif_is_clear_around_the_subject(client: OpenAI) -> None:
    frames = frames_of(
        generate(client, output_format="gif", size="512x512", background="transparent")
    )
    assert all(frame.getpixel((511, 0))[3] == 0 for frame in frames)  # type: ignore[index]
    assert all(frame.getchannel("A").getextrema() == (0, 255) for frame in frames)


def test_a_transparent_gif_edit_is_clear_around_the_subject(client: OpenAI) -> None:
    response = client.images.edit(
        model=MODEL,
        image=("a.png", encoded(halves((512, 512))), "image/png"),
        prompt="x",
        output_format="gif",
        frame_count=3,
        size="512x512",
        background="transparent",
    )
    frames = frames_of(base64.b64decode(response.data[0].b64_json or ""))  # type: ignore[index]
    assert len(frames) == 3
    for frame in frames:
        alpha = frame.getchannel("A")
        assert alpha.getpixel((0, 0)) == alpha.getpixel((511, 511)) == 0
        assert alpha.getpixel((256, 200)) == 255


@pytest.mark.slow
def test_a_gif_edit_shows_its_source_in_every_frame(client: OpenAI) -> None:
    response = client.images.edit(
        model=MODEL,
        image=("a.png", encoded(halves((512, 512))), "image/png"),
        prompt="x",
        output_format="gif",
        frame_count=4,
    )
    frames = frames_of(base64.b64decode(response.data[0].b64_json or ""))  # type: ignore[index]
    assert len(frames) == 4
    for frame in frames:
        above, below = (frame.getpixel((10, y)) for y in (10, 500))
        assert above[0] - above[2] > below[0] - below[2] + 60  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (9, 80, 200)])
def test_a_gif_of_a_plain_picture_has_all_its_frames(
    client: OpenAI, colour: tuple[int, int, int]
) -> None:
    response = client.images.edit(
        model=MODEL,
        image=("a.png", png((64, 64), "RGB", colour), "image/png"),
        prompt="x",
        output_format="gif",
        frame_count=8,
        frame_duration_ms=655_350,
    )
    frames = frames_of(base64.b64decode(response.data[0].b64_json or ""))  # type: ignore[index]
    assert len(frames) == 8


def test_a_small_gif_has_all_its_frames(client: OpenAI) -> None:
    frames = frames_of(generate(client, output_format="gif", size="160x480", frame_count=16))
    assert len(frames) == 16


# Frame size, frames, and the verdict on the sheet that they make.
SHEETS = [
    ("960x960", 8, None),
    ("960x960", 9, None),
    (
        "976x976",
        9,
        "one sheet of 3x3 frames, here 2928x2928 pixels. The sheet must have at most 8,294,400",
    ),
    ("816x816", 12, None),
    ("832x832", 12, "one sheet of 4x3 frames, here 3328x2496 pixels"),
    ("720x720", 16, None),
    ("736x736", 16, "The 16 frames of the animation share one sheet of 4x4 frames"),
    ("1024x512", 2, "here 4096x1024 pixels. The longest edge of the sheet must be less than"),
    ("1024x1024", 9, "here 3072x3072 pixels. The sheet must have at most 8,294,400 pixels"),
    ("1024x1024", 16, "The longest edge of the sheet must be less than or equal to 3840."),
    ("4096x2048", 2, "The longest edge must be less than or equal to 3840"),
    ("256x256", 9, "here 768x768 pixels. The sheet must have at least 655,360 pixels"),
    ("384x380", 9, "divisible by 16"),
]


@pytest.mark.parametrize(("size", "count", "words"), SHEETS)
def test_the_sheet_of_a_gif_keeps_the_limits(
    http: httpx2.Client, size: str, count: int, words: str | None
) -> None:
    body = {"model": MODEL, "prompt": "x", "output_format": "gif", "size": size}
    answer = http.post("/v1/images/generations", json=body | {"frame_count": count})
    if words is None:
        assert answer.json()["size"] == size
    else:
        assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("output_format", "fields", "param"),
    [
        ("gif", {"output_compression": 50}, "output_compression"),
        ("svg", {"output_compression": 50}, "output_compression"),
        ("svg", {"n": 2}, "n"),
        ("svg", {"frame_count": 2}, "frame_count"),
        ("gif", {"svg": {"model": "x"}}, "svg"),
        ("png", {"frame_duration_ms": 100}, "frame_duration_ms"),
        ("gif", {"frame_count": 1}, "frame_count"),
        ("gif", {"frame_duration_ms": 19}, "frame_duration_ms"),
        ("svg", {"svg": {}}, "svg.model"),
        ("svg", {"svg": {"reasoning": {"effort": "low"}}}, "svg.model"),
        ("svg", {"svg": {"model": None}}, "svg.model"),
        ("gif", {"frame_count": 17}, "frame_count"),
        ("svg", {"svg": {"reasoning": {"effort": "huge"}}}, "svg.reasoning.effort"),
    ],
)
def test_parameters_that_a_format_excludes_are_refused(
    http: httpx2.Client, output_format: str, fields: dict[str, Any], param: str
) -> None:
    body = {"model": MODEL, "prompt": "x", "output_format": output_format}
    answer = http.post("/v1/images/generations", json=body | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("fields", [{"svg": ""}, {"svg": "null"}, {"svg[model]": ""}])
def test_an_object_of_a_form_that_is_empty_is_null(
    http: httpx2.Client, fields: dict[str, str]
) -> None:
    form = {"model": MODEL, "prompt": "x", "output_format": "svg"}
    image = {"image": ("a.png", png(), "image/png")}
    answer = http.post("/v1/images/edits", data=form | fields, files=image)
    assert answer.status_code == 200, answer.text


def test_an_svg_refers_to_no_other_file(client: OpenAI) -> None:
    prompt = 'a <b>"lighthouse"</b> & \x00 a pier 灯台'
    data = generate(client, output_format="svg", size="1536x1024", prompt=prompt)
    root = ET.fromstring(data)  # noqa: S314 - our own server's
    assert root.tag == f"{SVG}svg"
    assert (root.get("width"), root.get("height")) == ("1536", "1024")
    assert root.findtext(f"{SVG}title") == prompt.replace("\x00", "")
    texts = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    assert MODEL in texts
    assert '<b>"lighthouse"</b>' in texts
    assert len(list(root.iter(f"{SVG}polygon"))) >= 2
    assert b"http" not in data.replace(b"http://www.w3.org/2000/svg", b"")


def test_svgs_on_one_page_have_their_own_gradients(client: OpenAI) -> None:
    pages = [ET.fromstring(generate(client, output_format="svg", prompt=name)) for name in "ab"]  # noqa: S314 - our own server's
    skies = [page.find(f"{SVG}linearGradient") for page in pages]
    names = [sky.get("id") for sky in skies if sky is not None]
    assert len({*names}) == 2
    for page, name in zip(pages, names, strict=True):
        assert f"url(#{name})" in [box.get("fill") for box in page.iter(f"{SVG}rect")]


def test_a_transparent_svg_has_no_sky(client: OpenAI) -> None:
    root = ET.fromstring(generate(client, output_format="svg", background="transparent"))  # noqa: S314 - our own server's
    assert not list(root.iter(f"{SVG}linearGradient"))
    assert list(root.iter(f"{SVG}circle"))


def test_an_svg_edit_embeds_the_edited_picture(client: OpenAI) -> None:
    response = client.images.edit(
        model=MODEL, image=("a.png", png(), "image/png"), prompt="x", output_format="svg"
    )
    assert response.data
    root = ET.fromstring(base64.b64decode(response.data[0].b64_json or ""))  # noqa: S314 - our own server's
    href = root.find(f"{SVG}image").get("href", "")  # type: ignore[union-attr]
    inner = Image.open(BytesIO(base64.b64decode(href.removeprefix("data:image/png;base64,"))))
    assert response.size == "{}x{}".format(*inner.size)
    assert ImageChops.difference(inner.convert("RGB"), Image.new("RGB", inner.size)).getbbox()


def test_an_svg_answer_has_svg_usage(client: OpenAI) -> None:
    def spent(**svg: Any) -> Any:
        response = client.images.generate(
            model=MODEL, prompt="x", output_format="svg", extra_body={"svg": svg} if svg else None
        )
        assert response.output_format == "svg"
        assert response.svg_usage
        return response.svg_usage

    usual = spent()
    assert usual.model == MODEL
    assert usual.total_tokens == usual.input_tokens + usual.output_tokens
    hard = spent(model="author", reasoning={"effort": "max"})
    assert hard.model == "author"
    assert hard.reasoning_tokens > usual.reasoning_tokens


def test_only_an_svg_answer_has_svg_usage(client: OpenAI) -> None:
    response = client.images.generate(model=MODEL, prompt="x", output_format="gif")
    assert response.svg_usage is None
    assert response.size == "512x512"

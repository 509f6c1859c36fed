"""`images.edit` by the official SDK, looked at down to the pixels under a mask."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import ImagesResponse
from PIL import Image, ImageChops

from emulator.contract.models import MODELS
from emulator.contract.request import Endpoint
from tests.pictures import BLUE, GREEN, RED, answered, encoded, half_clear, halves, plain, png

EDITORS = [name for name, model in MODELS.items() if Endpoint.EDITS in model.accepts]
GPT = [name for name in EDITORS if MODELS[name].tokens]


def file(data: bytes, name: str = "a.png") -> tuple[str, bytes, str]:
    return name, data, f"image/{name.rpartition('.')[2]}"


def edit(client: OpenAI, **parameters: Any) -> Image.Image:
    """The one picture of an edit."""
    response = client.images.edit(**({"prompt": "add a flag"} | parameters))
    assert isinstance(response, ImagesResponse)
    if response.data and response.data[0].url:
        response.data[0].b64_json = base64.b64encode(
            httpx2.get(response.data[0].url).content
        ).decode()
    (picture,) = answered(response)
    return picture


def masked_halves(picture: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The half where the mask of `half_clear` is transparent, and the other."""
    middle = picture.width // 2
    left = picture.crop((0, 0, middle, picture.height))
    return left, picture.crop((middle, 0, *picture.size))


@pytest.mark.parametrize("model", EDITORS)
def test_the_source_shows_where_the_mask_is_opaque_and_only_there(
    client: OpenAI, model: str
) -> None:
    source = png((1024, 1024), "RGBA", (*RED, 255))
    mask = half_clear((1024, 1024), BLUE)
    picture = edit(
        client, model=model, image=file(source), mask=file(mask), size="1024x1024"
    ).convert("RGB")
    left, right = masked_halves(picture)
    assert right.getcolors() == [(512 * 1024, RED)]
    colours = left.getcolors(maxcolors=1 << 16)
    assert colours
    assert len(colours) > 20
    assert RED not in {colour for _, colour in colours}


@pytest.mark.parametrize(("width", "height"), [(96, 64), (64, 96), (64, 64)])
def test_a_mask_is_scaled_with_its_source(client: OpenAI, width: int, height: int) -> None:
    picture = edit(
        client,
        model="gpt-image-2",
        image=file(png((width, height))),
        mask=file(half_clear((width, height))),
        size="1536x1024",
    )
    assert picture.size == (1536, 1024)
    left, right = masked_halves(picture)
    assert right.getcolors() == [(768 * 1024, RED)]
    assert RED not in {colour for _, colour in left.getcolors(maxcolors=1 << 16) or []}


@pytest.mark.parametrize("model", GPT)
def test_without_a_mask_the_whole_source_is_changed_and_still_seen(
    client: OpenAI, model: str
) -> None:
    source = halves((1024, 1024))
    picture = edit(client, model=model, image=file(encoded(source)), size="1024x1024")
    difference = ImageChops.difference(picture.convert("RGB"), source).convert("L")
    assert difference.histogram()[0] == 0
    (above, below) = (picture.convert("RGB").getpixel((5, y)) for y in (5, 1018))
    assert isinstance(above, tuple)
    assert isinstance(below, tuple)
    assert above[0] - above[2] > below[0] - below[2] + 60


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (128, 128, 128)])
def test_even_a_blank_source_is_changed(client: OpenAI, colour: tuple[int, int, int]) -> None:
    source = png((64, 64), "RGB", colour)
    picture = edit(client, model="gpt-image-2", image=file(source), size="1024x1024")
    assert colour not in {found for _, found in picture.crop((0, 0, 1024, 400)).getcolors() or []}


@pytest.mark.parametrize("count", [2, 3, 7, 16])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_all_of_several_sources_are_seen(client: OpenAI, count: int, masked: bool) -> None:
    colours = [(15 * number, 255 - 15 * number, 90) for number in range(count)]
    sources = [file(png((256, 256), "RGB", colour)) for colour in colours]
    extra = {"mask": file(half_clear((256, 256)))} if masked else {}
    picture = edit(client, model="gpt-image-1.5", image=sources, size="1024x1024", **extra)
    seen = {colour: number for number, colour in picture.getcolors(maxcolors=1 << 20) or []}
    assert all(seen.get(colour, 0) > 100 for colour in colours)


def test_the_transparent_part_of_a_mask_stays_in_sight(client: OpenAI) -> None:
    mask = plain((900, 300), "RGBA", (*BLUE, 255))
    mask.paste((0, 0, 0, 0), (700, 100, 800, 200))
    picture = edit(
        client,
        model="gpt-image-1",
        image=file(png((900, 300))),
        mask=file(encoded(mask)),
        size="1024x1024",
    )
    colours = {colour: number for number, colour in picture.getcolors(maxcolors=1 << 20) or []}
    assert 0.85 < colours[RED] / 1024**2 < 0.92


def test_a_mask_by_address_is_stood_in_for(http: httpx2.Client) -> None:
    url = "https://example.invalid/{}.png"
    for image in (url.format("a"), "data:image/png;base64," + base64.b64encode(png()).decode()):
        body = {
            "model": "gpt-image-2",
            "prompt": "x",
            "images": [{"image_url": image}],
            "mask": {"image_url": url.format("m")},
        }
        assert http.post("/v1/images/edits", json=body).status_code == 200


def test_dalle_takes_the_transparency_of_the_image_for_a_mask(client: OpenAI) -> None:
    picture = edit(
        client, model="dall-e-2", image=file(half_clear((512, 512))), size="512x512"
    ).convert("RGB")
    left, right = masked_halves(picture)
    assert right.getcolors() == [(256 * 512, RED)]
    assert RED not in {colour for _, colour in left.getcolors(maxcolors=1 << 16) or []}


def test_a_markup_is_drawn_over_the_source(client: OpenAI) -> None:
    markup = Image.new("RGBA", (1024, 1024), (0, 0, 0, 0))
    markup.paste((*GREEN, 255), (0, 0, 1024, 200))
    sources: dict[str, Any] = {"image": file(png((1024, 1024))), "size": "1024x1024"}
    without = edit(client, model="gpt-image-2.5-flare", **sources)
    marked = edit(client, model="gpt-image-2.5-flare", markup=file(encoded(markup)), **sources)
    (before, after) = (picture.getpixel((500, 100)) for picture in (without, marked))
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    assert after[1] - after[0] > before[1] - before[0] + 60


def test_a_transparent_background_keeps_what_is_clear_in_the_source(client: OpenAI) -> None:
    picture = edit(
        client,
        model="gpt-image-1",
        image=file(half_clear((256, 256))),
        background="transparent",
        size="1024x1024",
    )
    assert picture.mode == "RGBA"
    assert picture.getpixel((100, 100))[3] == 0  # type: ignore[index]
    assert picture.getpixel((900, 100))[3] == 255  # type: ignore[index]


def test_auto_keeps_the_proportions_of_the_source(client: OpenAI) -> None:
    wide = file(png((300, 200)))
    assert edit(client, model="gpt-image-1", image=wide).size == (1536, 1024)
    assert edit(client, model="gpt-image-2", image=wide).size == (1536, 1024)
    square = file(png((128, 128)))
    assert edit(client, model="gpt-image-1", image=square).size == (1024, 1024)
    assert edit(client, model="gpt-image-2", image=square).size == (1254, 1254)


def test_the_same_edit_draws_the_same_bytes_and_n_draws_different_ones(client: OpenAI) -> None:
    runs = [
        client.images.edit(model="gpt-image-2", image=file(png()), prompt="x", n=3).data or []
        for _ in range(2)
    ]
    first, second = ([item.b64_json for item in data] for data in runs)
    assert first == second
    assert len(set(first)) == 3


def test_references_in_json_are_read_like_files(http: httpx2.Client) -> None:
    def reference(data: bytes) -> dict[str, str]:
        return {"image_url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}

    body = {
        "model": "gpt-image-2",
        "prompt": "add a flag",
        "size": "1024x1024",
        "images": [reference(png((256, 256)))],
        "mask": reference(half_clear((256, 256))),
    }
    answer = http.post("/v1/images/edits", json=body)
    assert answer.status_code == 200
    data = base64.b64decode(answer.json()["data"][0]["b64_json"])
    _, right = masked_halves(Image.open(BytesIO(data)))
    assert right.getcolors() == [(512 * 1024, RED)]


def test_an_address_is_stood_in_for_and_never_fetched(http: httpx2.Client) -> None:
    urls = ["https://example.invalid/a.png", "https://example.invalid/b.png"]
    answers = []
    for url in urls:
        body = {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": url}]}
        answer = http.post("/v1/images/edits", json=body)
        assert answer.status_code == 200
        answers.append(answer.json()["data"][0]["b64_json"])
    assert answers[0] != answers[1]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_usual_formats_and_modes_are_taken(client: OpenAI, form: str, mode: str) -> None:
    image = plain((64, 64), mode)
    if form != "PNG":
        image = image.convert("L" if mode == "L" and form == "JPEG" else "RGB")
    upload = file(encoded(image, form), f"a.{form.lower()}")
    assert edit(client, model="gpt-image-2", image=upload).size == (1254, 1254)


def test_a_path_and_an_open_file_are_taken(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "source.png"
    path.write_bytes(png())
    assert edit(client, model="gpt-image-2", image=path)
    with path.open("rb") as opened:
        assert edit(client, model="gpt-image-2", image=opened)


async def test_the_async_client_edits(async_client: AsyncOpenAI) -> None:
    response = await async_client.images.edit(
        model="gpt-image-2", image=file(png()), prompt="x", size="1024x1024"
    )
    assert answered(response)[0].size == (1024, 1024)

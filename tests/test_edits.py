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
from PIL import Image, ImageChops, ImageDraw, ImageStat

from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import edits
from tests.pictures import BLUE, GREEN, RED, answered, encoded, half_clear, halves, plain, png

EDITORS = [
    *{
        id(model.rules[EDITS]): model.id for model in MODELS.values() if EDITS in model.rules
    }.values()
]
"""One model for each set of rows; those that share a row differ in their names alone."""

CARD, INK = (252, 251, 248), (29, 31, 42)
GPT = [name for name in EDITORS if MODELS[name].token_rates]


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
def test_the_source_is_where_the_mask_is_opaque_and_only_there(client: OpenAI, model: str) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_source_is_shown_upright_as_its_exif_says(client: OpenAI, form: str) -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6  # turn it by a quarter, clockwise
    lying, turned = BytesIO(), halves((1536, 1024)).transpose(Image.Transpose.ROTATE_90)
    turned.save(lying, form, exif=orientation, quality=100)
    source = ("a", lying.getvalue(), f"image/{form.lower()}")
    mask = file(half_clear((1536, 1024)))
    picture = edit(client, model="gpt-image-2", image=source, mask=mask, size="auto")
    assert picture.width > picture.height
    right = picture.width - 10
    above, below = (picture.getpixel((right, y)) for y in (10, picture.height - 10))
    for seen, colour in ((above, RED), (below, BLUE)):
        assert isinstance(seen, tuple)
        assert all(abs(one - other) < 8 for one, other in zip(seen, colour, strict=False))


@pytest.mark.parametrize("model", GPT)
def test_without_a_mask_the_whole_source_is_changed_and_recognisable(
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
    assert colour not in {each for _, each in picture.crop((0, 0, 1024, 400)).getcolors() or []}


@pytest.mark.parametrize("count", [2, 3, 7, 16])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_an_edit_shows_all_of_its_images(client: OpenAI, count: int, masked: bool) -> None:
    colours = [(15 * number, 255 - 15 * number, 90) for number in range(count)]
    sources = [file(png((256, 256), "RGB", colour)) for colour in colours]
    extra = {"mask": file(half_clear((256, 256)))} if masked else {}
    picture = edit(client, model="gpt-image-1.5", image=sources, size="1024x1024", **extra)
    seen = {colour: number for number, colour in picture.getcolors(maxcolors=1 << 20) or []}
    assert all(seen.get(colour, 0) > 100 for colour in colours)


def test_the_transparent_area_of_a_mask_is_not_cropped(client: OpenAI) -> None:
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


@pytest.mark.slow
def test_a_mask_by_url_gets_a_placeholder(http: httpx2.Client) -> None:
    url = "https://example.invalid/{}.png"
    for image in (url.format("a"), "data:image/png;base64," + base64.b64encode(png()).decode()):
        body = {
            "model": "gpt-image-2",
            "prompt": "x",
            "images": [{"image_url": image}],
            "mask": {"image_url": url.format("m")},
        }
        assert http.post("/v1/images/edits", json=body).status_code == 200


@pytest.mark.parametrize("text", ["", "null"])
def test_a_mask_that_is_an_empty_text_or_null_is_none(text: str, http: httpx2.Client) -> None:
    form = {"model": "gpt-image-2", "prompt": "x", "mask": text, "n": "1"}
    answer = http.post(EDITS.path, data=form, files={"image": file(png())})
    assert answer.status_code == 200


def test_dalle_takes_the_transparency_of_the_image_for_a_mask(client: OpenAI) -> None:
    picture = edit(
        client, model="dall-e-2", image=file(half_clear((512, 512))), size="512x512"
    ).convert("RGB")
    left, right = masked_halves(picture)
    assert right.getcolors() == [(256 * 512, RED)]
    assert RED not in {colour for _, colour in left.getcolors(maxcolors=1 << 16) or []}


@pytest.mark.slow
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


def product() -> Image.Image:
    """A blue thing before a plain ground."""
    picture = plain((1024, 1024), colour=(240, 238, 230))
    ImageDraw.Draw(picture).ellipse((320, 150, 720, 550), fill=BLUE)
    return picture


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "output_format", "compression"),
    [
        ("1024x1024", "png", 100),
        ("1024x1024", "webp", 100),
        ("1024x1024", "webp", 40),
        ("1536x1024", "png", 100),
    ],
)
@pytest.mark.parametrize(
    "source",
    [halves((1024, 1024)), product(), plain((300, 200))],
    ids=["scene", "product", "blank"],
)
def test_a_transparent_edit_of_an_opaque_source_cuts_out_a_subject(
    client: OpenAI, output_format: str, compression: int, source: Image.Image, size: str
) -> None:
    picture = edit(
        client,
        model="gpt-image-1",
        image=file(encoded(source)),
        background="transparent",
        size=size,
        output_format=output_format,
        output_compression=compression,
    )
    assert picture.mode == "RGBA"
    alpha = picture.getchannel("A")
    width, height = picture.size
    assert all(alpha.getpixel((x, y)) == 0 for x in (0, width - 1) for y in (0, height - 1))
    assert alpha.getpixel((width // 2, round(height * 0.4))) == 255
    levels = alpha.crop((0, 0, width, height * 5 // 8)).histogram()
    assert levels[0] > width * height // 6
    assert levels[255] > width * height // 20
    assert 500 < sum(levels[1:255]) < width * height // 20


def test_a_transparent_edit_cuts_out_the_subject_on_a_plain_background(client: OpenAI) -> None:
    picture = edit(
        client,
        model="gpt-image-1",
        image=file(encoded(product())),
        background="transparent",
        size="1024x1024",
    )
    alpha = picture.getchannel("A")
    inside, outside = Image.new("L", alpha.size), Image.new("L", alpha.size, 255)
    ImageDraw.Draw(inside).ellipse((332, 162, 708, 538), fill=255)
    ImageDraw.Draw(outside).ellipse((308, 138, 732, 562), fill=0)
    outside.paste(0, (0, 640, 1024, 1024))
    assert ImageStat.Stat(alpha, inside).mean[0] == 255
    assert ImageStat.Stat(alpha, outside).mean[0] == 0


def test_a_transparent_edit_with_a_mask_is_transparent_within_it_only(client: OpenAI) -> None:
    picture = edit(
        client,
        model="gpt-image-1",
        image=file(png((1024, 1024))),
        mask=file(half_clear((1024, 1024))),
        background="transparent",
        size="1024x1024",
    )
    left, right = masked_halves(picture)
    assert right.getcolors() == [(512 * 1024, (*RED, 255))]
    assert left.getchannel("A").histogram()[0] > 512 * 1024 // 4
    assert left.getchannel("A").histogram()[255] > 512 * 1024 // 10


def with_hole(box: tuple[int, int, int, int], *, is_round: bool = False, edge: int = 1024) -> bytes:
    """A square mask with one hole."""
    mask = Image.new("RGBA", (edge, edge), "black")
    pen = ImageDraw.Draw(mask)
    (pen.ellipse if is_round else pen.rectangle)(box, fill=(0, 0, 0, 0))
    return encoded(mask)


def masked_edit(
    client: OpenAI, mask: bytes, prompt: str, *, model: str = "gpt-image-2", edge: int = 1024
) -> Image.Image:
    return edit(
        client,
        model=model,
        image=file(png((edge, edge))),
        mask=file(mask),
        size=f"{edge}x{edge}",
        prompt=prompt,
    ).convert("RGB")


@pytest.mark.parametrize(
    ("box", "is_round"),
    [
        ((700, 100, 955, 355), False),
        ((0, 0, 255, 255), True),
        ((100, 400, 900, 655), False),
        ((300, 200, 560, 900), True),
    ],
)
def test_a_masked_area_of_a_quarter_of_the_edge_has_a_card(
    client: OpenAI, box: tuple[int, int, int, int], is_round: bool
) -> None:
    picture = masked_edit(client, with_hole(box, is_round=is_round), "a lighthouse")
    colours = {colour: count for count, colour in picture.getcolors(1 << 20) or []}
    assert colours[CARD] > 5_000
    assert colours[INK] > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "edge", "hole", "prompts"),
    # A hole of few pixels has few looks; one of many would be the same for any two.
    [
        *(("gpt-image-2", 1024, hole, 3) for hole in (1024, 512, 100)),
        *(("dall-e-2", 256, hole, prompts) for hole, prompts in ((20, 6), (5, 12), (2, 12))),
    ],
)
def test_two_prompts_fill_the_same_mask_with_different_pixels(
    client: OpenAI, model: str, edge: int, hole: int, prompts: int
) -> None:
    box = (edge - hole, edge - hole, edge, edge)
    mask = with_hole((*box[:2], edge - 1, edge - 1), edge=edge)
    pixels = {
        masked_edit(client, mask, f"prompt {number}", model=model, edge=edge).crop(box).tobytes()
        for number in range(prompts)
    }
    assert len(pixels) == prompts


@pytest.mark.slow
@pytest.mark.parametrize(
    "boxes",
    [
        [(0, 0, 1, 1), (510, 510, 511, 511)],
        [(x, y, x, y) for x in (0, 511) for y in (0, 511)],
    ],
    ids=["two areas far apart", "a pixel in each corner"],
)
def test_sixty_prompts_fill_a_few_scattered_pixels_in_sixty_ways(
    boxes: list[tuple[int, int, int, int]],
) -> None:
    mask = Image.new("RGBA", (512, 512), "black")
    for box in boxes:
        ImageDraw.Draw(mask).rectangle(box, fill=(0, 0, 0, 0))
    area = mask.getchannel("A").point([255] + [0] * 255)
    fills = set()
    for number in range(60):
        request = ImageRequest(
            operation=EDITS,
            model=MODELS["gpt-image-2"],
            prompt=f"prompt {number}",
            size=mask.size,
        )
        drawing = edits._drawing_for(area, request, 0, (), 0.0).convert("RGB")
        fills.add(
            b"".join(drawing.crop((*box[:2], box[2] + 1, box[3] + 1)).tobytes() for box in boxes)
        )
    assert len(fills) == 60


@pytest.mark.slow
def test_a_mask_without_transparent_pixels_counts_as_none(client: OpenAI) -> None:
    mask = png((1024, 1024), "RGBA", (*BLUE, 255))
    first, second = (masked_edit(client, mask, prompt) for prompt in "AB")
    assert ImageChops.difference(first, second).getbbox()
    assert RED not in {colour for _, colour in first.getcolors(1 << 20) or []}


@pytest.mark.slow
@pytest.mark.parametrize(("count", "rows"), [(16, [4, 4, 4, 4]), (5, [3, 2]), (2, [2])])
def test_several_images_are_in_a_grid_of_equal_squares(
    client: OpenAI, count: int, rows: list[int]
) -> None:
    colours = [(15 * number, 255 - 15 * number, 90) for number in range(count)]
    sources = [file(png((256, 256), "RGB", colour)) for colour in colours]
    picture = edit(client, model="gpt-image-1.5", image=sources, size="1024x1024").convert("RGB")
    boxes = []
    for colour in colours:
        unlike = ImageChops.difference(picture, Image.new("RGB", picture.size, colour))
        red, green, blue = (band.point([255] + [0] * 255) for band in unlike.split())
        box = ImageChops.darker(ImageChops.darker(red, green), blue).getbbox()
        assert box
        boxes.append(box)
    sizes = {(right - left, bottom - top) for left, top, right, bottom in boxes}
    assert len(sizes) == 1
    lines = [[box for box in boxes if box[1] == top] for top in sorted({box[1] for box in boxes})]
    assert [len(line) for line in lines] == rows
    for line in lines:
        assert abs(min(line)[0] + max(line)[2] - picture.width) <= 2


@pytest.mark.parametrize(("source", "proportions"), [((640, 64), 3), ((64, 640), 1 / 3)])
def test_auto_keeps_to_proportions_that_the_model_can_draw(
    client: OpenAI, source: tuple[int, int], proportions: float
) -> None:
    picture = edit(client, model="gpt-image-2", image=file(png(source)), size="auto")
    assert picture.width / picture.height == pytest.approx(proportions, rel=0.01)


@pytest.mark.slow
def test_auto_keeps_the_proportions_of_the_source(client: OpenAI) -> None:
    wide = file(png((300, 200)))
    assert edit(client, model="gpt-image-1", image=wide).size == (1536, 1024)
    assert edit(client, model="gpt-image-2", image=wide).size == (1536, 1024)
    square = file(png((128, 128)))
    assert edit(client, model="gpt-image-1", image=square).size == (1024, 1024)
    assert edit(client, model="gpt-image-2", image=square).size == (1254, 1254)


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_image_url_gets_a_placeholder_and_is_never_fetched(http: httpx2.Client) -> None:
    urls = ["https://example.invalid/a.png", "https://example.invalid/b.png"]
    answers = []
    for url in urls:
        body = {"model": "gpt-image-2", "prompt": "x", "images": [{"image_url": url}]}
        answer = http.post("/v1/images/edits", json=body)
        assert answer.status_code == 200
        answers.append(answer.json()["data"][0]["b64_json"])
    assert answers[0] != answers[1]


@pytest.mark.slow
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

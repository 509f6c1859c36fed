"""Own pictures: files of a user's, fitted to what a call asks for."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

import pytest
from PIL import Image, ImageChops, ImageSequence, ImageStat

from images_emulator import read_recipe
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS, VARIATIONS
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.exchange_packing import pack_request, unpack_request
from images_emulator.file_types import FILE_TYPES
from images_emulator.imaging import fitting
from images_emulator.imaging.decoder import (
    add_and_weigh_holder,
    copy_weight,
    decode,
    needs_decoding,
    without_pixels,
)
from images_emulator.imaging.formats import OUTPUT_FORMATS
from images_emulator.imaging.render import render_image, render_stream
from images_emulator.imaging.thumbnails import EDGES, thumbnails
from images_emulator.rendering.render_process import RenderProcess
from tests.pictures import (
    BLUE,
    GREEN,
    RED,
    STREAMABLE_FORMATS,
    encoded,
    half_clear,
    halves,
    opened,
    plain,
    png,
)

WHITE, CLEAR = (255, 255, 255), (0, 0, 0, 0)
REQUEST: Final = ImageRequest(
    operation=GENERATIONS,
    model=MODELS["gpt-image-2.6-sunburst"],
    prompt="a lighthouse",
    size=(96, 64),
)


def answered(*pictures: OwnPicture | bytes, **values: Any) -> ImageRequest:
    """A request that own pictures answer."""
    own = tuple(each if isinstance(each, OwnPicture) else OwnPicture(each) for each in pictures)
    return replace(REQUEST, **{"own_pictures": own, **values})


def image_of(request: ImageRequest, index: int = 0) -> Image.Image:
    return opened(render_image(request, index))


def is_near(pixel: Any, colour: tuple[int, ...], tolerance: int = 6) -> bool:
    return all(abs(one - two) <= tolerance for one, two in zip(pixel, colour, strict=True))


def left_to_right(size: tuple[int, int] = (192, 64)) -> bytes:
    """Thirds of a wide picture: red, green and blue."""
    image = plain(size)
    third = size[0] // 3
    image.paste(GREEN, (third, 0, 2 * third, size[1]))
    image.paste(BLUE, (2 * third, 0, *size))
    return encoded(image)


def test_a_picture_of_the_asked_size_keeps_its_pixels() -> None:
    image = Image.effect_noise((96, 64), 80).convert("RGB")
    assert image_of(answered(encoded(image))).tobytes() == image.tobytes()


def test_cover_fills_the_size_and_crops_what_is_left_over() -> None:
    image = image_of(answered(left_to_right(), size=(64, 64)))
    assert image.size == (64, 64)
    assert {image.getpixel((x, y)) for x in (4, 60) for y in (0, 63)} == {GREEN}


def test_contain_shows_all_of_it_with_borders_of_the_background() -> None:
    own = OwnPicture(left_to_right(), fit="contain")
    image = image_of(answered(own, size=(96, 96)))
    assert [image.getpixel((x, 48)) for x in (8, 48, 88)] == [RED, GREEN, BLUE]
    assert {image.getpixel((x, y)) for x in (0, 48, 95) for y in (0, 28, 68, 95)} == {WHITE}
    clear = image_of(answered(own, size=(96, 96), background="transparent"))
    assert clear.mode == "RGBA"
    assert clear.getpixel((48, 2)) == CLEAR
    assert clear.getpixel((48, 48)) == (*GREEN, 255)


def test_a_transparent_picture_keeps_its_alpha_or_is_put_on_white() -> None:
    data = half_clear((96, 64))
    assert image_of(answered(data)).getpixel((0, 0)) == WHITE
    clear = image_of(answered(data, background="transparent"))
    assert [clear.getpixel((x, 0))[3] for x in (0, 95)] == [0, 255]  # type: ignore[index]


def test_scaling_leaves_no_fringe_around_what_is_transparent() -> None:
    image = plain((200, 200), "RGBA", (*RED, 255))
    image.paste(CLEAR, (0, 0, 90, 200))
    scaled = image_of(answered(encoded(image), background="transparent", size=(64, 64)))
    pixels = [scaled.getpixel((x, 32)) for x in range(64)]
    assert all(is_near(pixel[:3], RED, 12) for pixel in pixels if pixel[3] > 32)  # type: ignore[index]


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_the_file_has_the_asked_format_and_a_recipe_with_the_digest(output_format: str) -> None:
    data = encoded(halves((120, 120)), "JPEG", quality=95)
    request = answered(data, output_format=output_format, frame_count=3)
    file = render_image(request, 0)
    assert FILE_TYPES[output_format].signature.match(file)
    recipe = read_recipe(file)
    assert recipe["own_picture"] == sha256(data).hexdigest()
    assert (recipe["prompt"], recipe["index"]) == ("a lighthouse", 0)
    if output_format != "svg":
        image = opened(file).convert("RGB")
        assert image.size == (96, 64)
        assert is_near(image.getpixel((48, 4)), RED)
        assert is_near(image.getpixel((48, 60)), BLUE)


def test_another_picture_changes_the_key_and_an_equal_one_does_not() -> None:
    one, same, other = (answered(png(colour=each)) for each in (RED, RED, BLUE))
    assert one.cache_key == same.cache_key
    assert render_image(one, 0) == render_image(same, 0)
    assert len({each.cache_key for each in (REQUEST, one, other)}) == 3


@pytest.mark.parametrize(
    "change",
    [{"fit": "contain"}, {"verbatim": True}, {"partials": (png(),)}, {"data": png(colour=BLUE)}],
    ids=lambda change: next(iter(change)),
)
def test_all_that_decides_the_file_is_in_the_key(change: dict[str, Any]) -> None:
    own = OwnPicture(png(), name="one.png")
    assert answered(replace(own, **change)).cache_key != answered(own).cache_key
    assert answered(replace(own, name="two.png")).cache_key == answered(own).cache_key


def test_previews_of_a_verbatim_picture_have_its_fit_in_the_key() -> None:
    own = OwnPicture(encoded(halves((96, 32))), verbatim=True)
    fits = (own, replace(own, fit="contain"))
    requests = [
        answered(each, stream=True, partial_images=1, size=(64, 64), background="opaque")
        for each in fits
    ]
    previews = [next(iter(render_stream(each)))[1] for each in requests]
    assert previews[0] != previews[1]
    assert requests[0].cache_key != requests[1].cache_key


def test_several_pictures_answer_one_after_the_other_and_then_from_the_first() -> None:
    request = answered(png(colour=RED), png(colour=BLUE), n=3)
    files = [render_image(request, index) for index in range(3)]
    assert [opened(each).getpixel((9, 9)) for each in files] == [RED, BLUE, RED]
    digests = [sha256(png(colour=each)).hexdigest() for each in (RED, BLUE, RED)]
    assert [read_recipe(each)["own_picture"] for each in files] == digests


def test_an_svg_holds_the_own_picture() -> None:
    file = render_image(answered(encoded(halves((96, 64))), output_format="svg"), 0)
    embedded = re.search(rb'href="data:image/png;base64,([^"]+)"', file)
    assert embedded
    image = opened(embedded[1].decode()).convert("RGB")
    assert [image.getpixel((9, y)) for y in (4, 60)] == [RED, BLUE]


def test_a_picture_is_fitted_once_for_calls_with_other_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = OwnPicture(png((300, 200), colour=GREEN))
    first = render_image(answered(own, prompt="one"), 0)
    monkeypatch.setattr(fitting, "_fit_to_request", None)
    second = render_image(answered(own, prompt="two"), 0)
    assert opened(first).tobytes() == opened(second).tobytes()
    assert [read_recipe(each)["prompt"] for each in (first, second)] == ["one", "two"]


def test_a_verbatim_picture_is_sent_as_it_is() -> None:
    data = encoded(plain((10, 20)), "JPEG")
    own = OwnPicture(data, verbatim=True, partials=(png(),))
    request = answered(own, stream=True, partial_images=2)
    files = dict(render_stream(request))
    assert render_image(request, 0) == files[None] == data
    assert files[0] == png()
    assert opened(files[1]).size == request.size


@pytest.mark.parametrize("output_format", STREAMABLE_FORMATS)
def test_partial_images_are_the_given_ones_and_then_previews(output_format: str) -> None:
    own = OwnPicture(encoded(halves((96, 64))), partials=(png(colour=GREEN),))
    request = answered(own, stream=True, partial_images=2, output_format=output_format)
    files = dict(render_stream(request))
    assert list(files) == [0, 1, None]
    given, preview, final = (opened(file).convert("RGB") for file in files.values())
    assert {given.size, preview.size, final.size} == {(96, 64)}
    assert is_near(given.getpixel((5, 5)), GREEN)
    assert is_near(preview.getpixel((5, 3)), RED)
    assert is_near(preview.getpixel((5, 60)), BLUE)
    assert files[None] == render_image(request, 0)
    assert dict(render_stream(request, 1)) == {1: files[1], None: files[None]}
    assert read_recipe(files[0])["partial_image_index"] == 0


@pytest.mark.parametrize("operation", [EDITS, VARIATIONS])
def test_edits_and_variations_are_answered_by_own_pictures_too(operation: Any) -> None:
    upload = decode(png(colour=BLUE))
    assert upload
    request = answered(png((96, 64), colour=GREEN), operation=operation, images=(upload,))
    for index in range(2):
        assert image_of(request, index).getextrema() == tuple((part, part) for part in GREEN)
    assert read_recipe(render_image(request, 0))["images"] == [upload.digest]


def test_an_upload_that_an_own_picture_stands_for_is_not_decoded_again() -> None:
    upload = decode(png(colour=BLUE))
    assert upload
    request = without_pixels(replace(REQUEST, operation=EDITS, images=(upload,)))
    assert needs_decoding(request)
    assert not needs_decoding(replace(request, own_pictures=(OwnPicture(png()),)))


def colours_of(file: bytes) -> list[Any]:
    """The colour of each frame of a GIF."""
    with Image.open(BytesIO(file)) as animation:
        return [each.convert("RGB").getpixel((9, 9)) for each in ImageSequence.Iterator(animation)]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_takes_the_frames_of_an_animation(form: str) -> None:
    frames = [plain((96, 64), colour=colour) for colour in (RED, GREEN, BLUE)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
    shown = colours_of(render_image(answered(data, output_format="gif", frame_count=6), 0))
    assert len(shown) == 6
    assert all(map(is_near, shown, [RED, RED, GREEN, GREEN, BLUE, BLUE]))
    assert is_near(image_of(answered(data)).getpixel((9, 9)), RED)


def test_a_damaged_frame_of_an_animation_looks_like_the_one_before_it() -> None:
    noise = [Image.effect_noise((96, 64), each).convert("RGB") for each in (10, 20, 30)]
    data = encoded(noise[0], "GIF", save_all=True, append_images=noise[1:])
    file = render_image(answered(data[:-2000], output_format="gif", frame_count=3), 0)
    with Image.open(BytesIO(file)) as animation:
        first, second, third = (
            each.convert("L").reduce(2) for each in ImageSequence.Iterator(animation)
        )
    assert max(ImageStat.Stat(ImageChops.difference(second, third)).mean) < 1
    assert max(ImageStat.Stat(ImageChops.difference(first, second)).mean) > 2


def deep_grey() -> bytes:
    image = Image.new("I;16", (96, 64), 0x80FF)
    return encoded(image)


def turned() -> bytes:
    """Red above and blue below once it is turned by its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = halves((96, 64)).transpose(Image.Transpose.ROTATE_90)
    return encoded(image, "JPEG", quality=95, exif=exif)


def phone_picture() -> bytes:
    return encoded(halves((96, 64)), "MPO", save_all=True, append_images=[plain()], quality=95)


@pytest.mark.parametrize(
    ("data", "above", "below"),
    [
        pytest.param(encoded(halves((96, 64)).quantize(8)), RED, BLUE, id="palette"),
        pytest.param(encoded(halves((96, 64)), "GIF"), RED, BLUE, id="GIF"),
        pytest.param(encoded(halves((96, 64)), "WEBP", lossless=True), RED, BLUE, id="WebP"),
        pytest.param(
            encoded(halves((96, 64)).convert("CMYK"), "JPEG", quality=95), RED, BLUE, id="CMYK"
        ),
        pytest.param(encoded(plain((96, 64), "1", WHITE)), WHITE, WHITE, id="1 bit"),
        pytest.param(encoded(plain((96, 64), "LA", WHITE)), WHITE, WHITE, id="grey with alpha"),
        pytest.param(deep_grey(), (128, 128, 128), (128, 128, 128), id="16 bit"),
        pytest.param(encoded(halves((96, 64)), transparency=RED), WHITE, BLUE, id="clear colour"),
        pytest.param(turned(), RED, BLUE, id="turned by EXIF"),
        pytest.param(phone_picture(), RED, BLUE, id="two pictures of a phone"),
    ],
)
def test_pictures_of_every_kind_are_read(data: bytes, above: Any, below: Any) -> None:
    image = image_of(answered(data))
    assert (image.mode, image.size) == ("RGB", (96, 64))
    assert is_near(image.getpixel((48, 4)), above)
    assert is_near(image.getpixel((48, 60)), below)


def test_compression_is_that_of_the_call() -> None:
    data = encoded(Image.effect_noise((96, 64), 80).convert("RGB"))
    small, large = (
        render_image(answered(data, output_format="jpeg", output_compression=each), 0)
        for each in (10, 95)
    )
    assert len(small) < len(large) / 2


def test_a_request_with_own_pictures_is_stored_and_read_with_their_files() -> None:
    upload = decode(png(colour=BLUE))
    assert upload
    pictures = (OwnPicture(png(), partials=(half_clear(), png()), fit="contain"), OwnPicture(png()))
    request = answered(*pictures, operation=EDITS, images=(upload,))
    document, data = pack_request(request)
    assert len(data) == len(upload.data) + len(png()) + len(half_clear())
    other = unpack_request(document, data)
    assert other.own_pictures == pictures
    assert other.cache_key == request.cache_key
    files = len(upload.data) + 3 * len(png()) + len(half_clear())
    assert 0 <= copy_weight(other) - files < 2048


def test_calls_that_share_a_picture_count_it_a_few_times() -> None:
    request = answered(OwnPicture(bytes(2**20), verbatim=True))
    first, *others = (add_and_weigh_holder(request) for _ in range(1000))
    assert first >= 2**20
    assert all(weight > add_and_weigh_holder(REQUEST) for weight in others)
    assert first + sum(others) < 10 * 2**20


def test_a_gif_of_many_colours_mixes_them_of_those_of_its_palette() -> None:
    image = Image.merge(
        "RGB",
        (Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L")),
    )
    data = encoded(image)
    shown = image_of(answered(data, size=image.size, output_format="gif", frame_count=2))
    blurred = [each.convert("RGB").reduce(8) for each in (image, shown)]
    assert max(ImageStat.Stat(ImageChops.difference(*blurred)).mean) < 1


def test_a_transparent_gif_of_an_own_picture_is_clear_around_it() -> None:
    image = Image.new("RGBA", (96, 96))
    image.paste(RED, (40, 30, 56, 46))
    request = answered(
        encoded(image), output_format="gif", background="transparent", frame_count=2, size=(96, 96)
    )
    with Image.open(BytesIO(render_image(request, 0))) as animation:
        frames = [each.convert("RGBA") for each in ImageSequence.Iterator(animation)]
    assert len(frames) == 2
    assert [each.getchannel("A").getbbox() for each in frames] == [(40, 30, 56, 46)] * 2


@pytest.mark.slow
def test_a_render_process_makes_the_same_files() -> None:
    upload = decode(png(colour=BLUE))
    assert upload
    own = OwnPicture(encoded(halves()), partials=(png(),))
    request = answered(
        own, operation=EDITS, images=(upload,), mask=upload, stream=True, partial_images=2
    )
    process = RenderProcess()
    try:
        assert process.render_files(request, 0, 0) == [*render_stream(request)]
        verbatim = answered(replace(own, verbatim=True))
        assert process.render_files(verbatim, 0, None) == [(None, own.data)]
    finally:
        process.close()


@pytest.mark.parametrize("partial", [None, 0, 1])
def test_thumbnails_show_the_own_picture(partial: int | None) -> None:
    own = OwnPicture(encoded(halves((1536, 1024))), partials=(png(colour=GREEN),))
    request = answered(own, stream=True, partial_images=2, size=(1536, 1024))
    files = thumbnails(request, 0, partial)
    for edge in EDGES:
        image = opened(files[edge]).convert("RGB")
        assert image.size == (edge, edge * 2 // 3)
        colours = (GREEN, GREEN) if partial == 0 else (RED, BLUE)
        assert is_near(image.getpixel((9, 2)), colours[0], 12)
        assert is_near(image.getpixel((9, image.height - 3)), colours[1], 12)


def test_thumbnails_of_a_verbatim_picture_have_its_own_proportions() -> None:
    own = OwnPicture(png((30, 90)), verbatim=True)
    assert opened(thumbnails(answered(own), 0)[96]).size == (30, 90)
    junk = OwnPicture(b"<svg/>", verbatim=True)
    assert opened(thumbnails(answered(junk), 0)[96]).size == (96, 64)

"""Lenient validation: what can be forgiven is, and is named."""

from __future__ import annotations

import base64
import gc
from datetime import date
from io import BytesIO
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Server, Settings
from images_emulator.contract import errors
from images_emulator.contract.dialect import OPENAI
from images_emulator.contract.operations import OPERATIONS
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import Violation
from images_emulator.contract.request import ParsedCall
from images_emulator.contract.validation import MAX_VIOLATIONS, Validation
from images_emulator.imaging.image_loader import PillowImageLoader
from tests.pictures import RED, half_clear, png

LENIENT = {"x-emulator-validation": "lenient"}


def forgiven(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    text = answer.headers.get("x-emulator-violations", "")
    return text.split(", ") if text else []


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({}, []),
        ({"response_format": "url"}, ["response_format: unknown_parameter"]),
        ({"n": 99, "quality": "ultra"}, ["n: integer_above_max_value", "quality: invalid_value"]),
        ({"size": "1x1"}, ["size: invalid_value"]),
        ({"output_compression": 5}, ["request: invalid_png_output_compression"]),
        ({"background": "transparent", "output_format": "jpeg"}, ["background: invalid_value"]),
        ({"model": "no-such-model"}, ["model: invalid_value"]),
        ({"model": None}, ["model: invalid_type"]),
        ({"größe": 1}, ["gr\\xf6\\xdfe: unknown_parameter"]),
    ],
)  # fmt: skip
def test_lenient_validation_ignores_and_names_a_mistake(
    http: httpx2.Client, fields: dict[str, Any], violations: list[str]
) -> None:
    body = {"model": "gpt-image-2", "prompt": "x"} | fields
    answer = http.post("/v1/images/generations", json=body, headers=LENIENT)
    assert forgiven(answer) == violations


def test_lenient_validation_uses_the_default_of_an_ignored_parameter(http: httpx2.Client) -> None:
    body = {"model": "gpt-image-1", "prompt": "x", "size": "7x7", "n": 0, "quality": 3}
    answer = http.post("/v1/images/generations", json=body, headers=LENIENT)
    assert len(forgiven(answer)) == 3
    body = answer.json()
    assert (body["size"], body["quality"], len(body["data"])) == ("1024x1536", "high", 1)


@pytest.mark.parametrize("prompt", [None, "", 7, "x" * 40_000])
def test_lenient_validation_refuses_a_call_without_a_usable_prompt(
    http: httpx2.Client, prompt: object
) -> None:
    body = {"model": "gpt-image-2", "prompt": prompt}
    answer = http.post("/v1/images/generations", json=body, headers=LENIENT)
    assert answer.status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "model", "day", "length"),
    [
        ("generations", "dall-e-2", "2024-03-01", 2000),
        ("edits", "gpt-image-1", "2026-06-01", 40_000),
    ],
)
def test_lenient_validation_refuses_a_prompt_that_is_too_long_for_the_service(
    http: httpx2.Client, path: str, model: str, day: str, length: int
) -> None:
    headers = LENIENT | {"x-emulator-as-of": day}
    for count, status in ((length // 2, 200), (length, 400)):
        body = {"model": model, "prompt": "x" * count}
        form = {"data": body, "files": {"image": ("a.png", png((64, 64)), "image/png")}}
        sent: dict[str, Any] = form if path == "edits" else {"json": body}
        answer = http.post(f"/v1/images/{path}", headers=headers, **sent)
        assert answer.status_code == status


def edited(http: httpx2.Client, **files: tuple[str, bytes, str]) -> httpx2.Response:
    data = {"model": "gpt-image-2.5-flare", "prompt": "x", "size": "1024x1024"}
    return http.post("/v1/images/edits", data=data, files=files, headers=LENIENT)


def test_lenient_validation_detects_the_format_of_an_upload(http: httpx2.Client) -> None:
    octets = ("upload", png((64, 64)), "application/octet-stream")
    mask = ("upload", half_clear((64, 64)), "application/octet-stream")
    answer = edited(http, image=octets, mask=mask)
    assert forgiven(answer) == ["image: unsupported_file_mimetype"]
    data = base64.b64decode(answer.json()["data"][0]["b64_json"])
    picture = Image.open(BytesIO(data))
    assert picture.getpixel((1000, 500)) == RED


@pytest.mark.slow
def test_lenient_validation_takes_an_undecodable_image_as_blank(http: httpx2.Client) -> None:
    text = ("upload", b"Example data", "application/octet-stream")
    answer = edited(http, image=text, mask=text, markup=text)
    assert forgiven(answer) == [
        "image: unsupported_file_mimetype",
        "markup: unsupported_parameter",
        "request: invalid_image_file",
        "request: invalid_mask_image_format",
    ]
    answer = http.post("/v1/images/variations", files={"image": text}, headers=LENIENT)
    assert forgiven(answer) == ["request: invalid_image_format"]


@pytest.mark.parametrize("name", ["mask", "markup"])
def test_lenient_validation_leaves_out_an_undecodable_overlay(
    http: httpx2.Client, name: str
) -> None:
    data = {"model": "gpt-image-2.5-sunburst", "prompt": "x", "size": "1024x1024"}
    files = {"image": ("a.png", png((64, 64)), "image/png")}
    plain = http.post("/v1/images/edits", data=data, files=files)
    files[name] = ("b.png", b"Example data", "image/png")
    answer = http.post("/v1/images/edits", data=data, files=files, headers=LENIENT)
    assert len(forgiven(answer)) == 1
    assert answer.json()["data"][0]["b64_json"] == plain.json()["data"][0]["b64_json"]


@pytest.mark.slow
def test_lenient_validation_takes_a_text_in_place_of_an_image_as_blank(http: httpx2.Client) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "images": ["a", {"file_id": "file-x"}, {}]}
    answer = http.post("/v1/images/edits", json=body, headers=LENIENT)
    assert len(forgiven(answer)) == 4


def test_lenient_validation_takes_an_empty_array_as_a_blank_image(http: httpx2.Client) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "images": []}
    for size in ("auto", "1024x1024"):
        answer = http.post("/v1/images/edits", json=body | {"size": size}, headers=LENIENT)
        assert forgiven(answer) == ["images: empty_array"]


@pytest.mark.slow
@pytest.mark.parametrize("with_mask", [False, True])
def test_lenient_validation_takes_null_in_place_of_images_as_a_blank_image(
    http: httpx2.Client, with_mask: bool
) -> None:
    body: dict[str, Any] = {"model": "gpt-image-2", "prompt": "x", "images": None}
    if with_mask:
        body["mask"] = {"image_url": "https://images.test/mask.png"}
    answer = http.post("/v1/images/edits", json=body, headers=LENIENT)
    assert answer.status_code == 200, answer.text
    assert forgiven(answer)[0].startswith("images")


def test_lenient_validation_without_a_default_model_uses_the_newest(http: httpx2.Client) -> None:
    headers = LENIENT | {"x-emulator-as-of": "2026-11-21"}
    body = {"model": None, "prompt": "x"}
    answer = http.post("/v1/images/generations", json=body, headers=headers)
    assert forgiven(answer) == ["model: invalid_type", "model: missing_required_parameter"]


def test_validation_header_overrides_the_setting_for_one_call() -> None:
    with (
        Server(Settings(port=0, validation="lenient")) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):
        body = {"prompt": "x", "model": "gpt-image-2", "style": "vivid"}
        assert forgiven(http.post("/v1/images/generations", json=body))
        strict = {"x-emulator-validation": "strict"}
        answer = http.post("/v1/images/generations", json=body, headers=strict)
        assert answer.status_code == 400


def test_unknown_validation_mode_is_refused(http: httpx2.Client) -> None:
    headers = {"x-emulator-validation": "loose"}
    answer = http.post("/v1/images/generations", json={"prompt": "x"}, headers=headers)
    assert answer.json()["error"]["param"] == "x-emulator-validation"


@pytest.mark.slow
def test_violations_keep_no_decoded_image_alive(http: httpx2.Client, server: Server) -> None:
    for number in range(5):
        form = {"model": "gpt-image-2", "prompt": f"{number}", "colour": "red"}
        files = [("image[]", ("a.png", png((600, 400)), "image/png"))]
        files.append(("mask", ("m.png", half_clear((10, 10)), "image/png")))
        answer = http.post("/v1/images/edits", data=form, files=files, headers=LENIENT)
        assert forgiven(answer) == [
            "colour: unknown_parameter",
            "request: invalid_mask_image_format",
        ]
    gc.collect()
    alive = [each for each in gc.get_objects() if isinstance(each, Image.Image)]
    assert not [each for each in alive if each.size == (600, 400)]
    assert [entry.violations[0] for entry in server.requests] == ["colour: unknown_parameter"] * 5


def test_violations_header_stays_within_what_clients_accept(
    http: httpx2.Client, server: Server
) -> None:
    body = {"model": "gpt-image-2", "prompt": "x"} | {f"{n}" + "ö" * 999: n for n in range(150)}
    answer = http.post("/v1/images/generations", json=body, headers=LENIENT)
    text = answer.headers["x-emulator-violations"]
    assert text.startswith(r"0\xf6\xf6")
    assert len(text) == 4096
    (entry,) = server.requests
    assert len(entry.violations) == 100
    assert max(map(len, entry.violations)) < 300


def test_no_more_unknown_names_are_judged_than_are_told() -> None:
    """Each takes as long as a small call: 32,000 of them held the event loop for a second."""
    fields = {"model": "gpt-image-2", "prompt": "x"} | {f"n{number}": 1 for number in range(32_000)}
    call = ParsedCall(OPERATIONS["generations"], is_form=False, fields=fields)
    policy = Policy(is_lenient=True, today=date(2026, 11, 26))
    loader = PillowImageLoader(lambda _: None, lambda _: None)
    validation = Validation(call, loader, policy, OPENAI)
    assert len(validation.request().forgiven) == len(validation.violations) == MAX_VIOLATIONS


@pytest.mark.slow
def test_no_more_images_are_loaded_than_an_edit_may_have() -> None:
    """Each has a few megabytes of pixels; 200 of them took 20 seconds and 800 MB."""
    images = [{"image_url": f"https://x.example/{number}"} for number in range(200)]
    fields = {"model": "gpt-image-2", "prompt": "x", "images": images}
    call = ParsedCall(OPERATIONS["edits"], is_form=False, fields=fields)
    loader = PillowImageLoader(lambda _: None, lambda _: None)
    validation = Validation(call, loader, Policy(is_lenient=True, today=date(2026, 11, 26)), OPENAI)
    assert len(validation.request().images) == 16
    assert [each.param for each in validation.violations] == ["images"]


@pytest.mark.parametrize(
    "edges", [(64, 64), pytest.param((16_384, 4000), marks=pytest.mark.slow)], ids=str
)
def test_pictures_in_place_of_uploads_count_in_the_budget_and_pass_all_limits(
    edges: tuple[int, int],
) -> None:
    loader = PillowImageLoader(lambda _: None, lambda _: None)
    left = [loader._budget.left]
    pictures: list[Any] = []
    for make in (
        loader.blank,
        lambda: loader.placeholder("x"),
        lambda: loader.placeholder_overlay("x", *edges),
    ):
        pictures.append(make())
        left.append(loader._budget.left)
    assert left == sorted({*left}, reverse=True)
    assert (pictures[2].width, pictures[2].height) == edges


@pytest.mark.parametrize(
    ("name", "shown"), [("x" * 256, "x" * 256), ("x" * 257, f"{'x' * 255}…")], ids=len
)
def test_a_violation_names_256_characters_of_a_parameter_at_most(name: str, shown: str) -> None:
    violation = Violation.from_error(errors.unknown_field(name=name))
    assert str(violation) == f"{shown}: unknown_parameter"


def test_a_violation_without_a_code_names_the_type_of_its_error() -> None:
    violation = Violation.from_error(errors.older_more_than_one())
    assert str(violation) == "request: invalid_request_error"


@pytest.mark.parametrize("fields", [{"size": "string"}, {"n": 99, "size": "auto"}])
def test_a_size_of_a_forgiven_call_is_one_that_the_types_of_sdks_name(
    server: Server, fields: dict[str, Any]
) -> None:
    with OpenAI(base_url=server.base_url, api_key="x") as client:
        answer = client.images.generate(
            **{"model": "gpt-image-2", "prompt": "x", **fields},
            extra_headers={"x-emulator-validation": "lenient"},
        )
    assert answer.size == "1024x1024"

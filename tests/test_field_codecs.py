"""The marks on the fields of a request: keys, recipe and JSON follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields, make_dataclass
from datetime import date
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.field_codecs import (
    ADDED_LATER,
    DRAWING,
    ENCODING,
    IMAGES,
    FieldEffect,
    codecs_of,
    key_function,
)
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS, IMAGE_OPERATIONS
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.refusal import Violation
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.decoder import decode, restore
from images_emulator.imaging.formats import OUTPUT_FORMATS
from images_emulator.imaging.render import render_image, render_stream
from tests.pictures import BLUE, encoded, half_clear, plain, png

# The same examples in each run, and few: the files of one take milliseconds.
usual = settings(max_examples=30, deadline=None, derandomize=True, database=None)
keys_only = settings(usual, max_examples=10)

FILES: Final = (
    *(png(), png((64, 48), colour=BLUE), half_clear()),
    *(half_clear((48, 64), BLUE), encoded(plain(), "JPEG")),
)
DECODED: Final = [picture for each in FILES if (picture := decode(each))]
DATA: Final = {picture.digest: picture.data for picture in DECODED}

texts = st.text(max_size=40)
pictures = st.sampled_from(DECODED)
own_pictures = st.builds(
    OwnPicture,
    st.sampled_from(FILES),
    fit=st.sampled_from(["cover", "contain"]),
    verbatim=st.booleans(),
    partials=st.lists(st.sampled_from(FILES), max_size=2).map(tuple),
    name=texts,
)
VALUES: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "operation": st.sampled_from([*IMAGE_OPERATIONS.values()]),
    "model": st.sampled_from([*MODELS.values()]),
    "prompt": st.text(max_size=40) | st.text(st.characters(codec=None), max_size=5),
    "n": st.integers(1, 10),
    "size": st.tuples(st.integers(16, 96), st.integers(16, 96)),
    "quality": st.sampled_from([None, "low", "medium", "high", "standard", "hd"]),
    "style": st.sampled_from([None, "vivid", "natural"]),
    "background": st.sampled_from(["opaque", "transparent"]),
    "complexity": st.sampled_from([None, "low", "high"]),
    "input_fidelity": st.sampled_from([None, "low", "high"]),
    "output_format": st.sampled_from([each for each in OUTPUT_FORMATS if each != "jpeg"]),
    "output_compression": st.integers(0, 100),
    "response_format": st.sampled_from(["b64_json", "url"]),
    "stream": st.booleans(),
    "partial_images": st.integers(0, 3),
    "user": st.none() | texts,
    "safety_identifier": st.none() | texts,
    "frame_count": st.integers(2, 3),
    "frame_duration_ms": st.integers(50, 1000),
    "svg": st.none() | st.dictionaries(texts, st.none() | texts | st.integers()),
    "images": st.lists(pictures, min_size=1, max_size=3).map(tuple),
    "mask": st.none() | pictures,
    "markup": st.just(None),
    "own_pictures": st.none() | st.lists(own_pictures, min_size=1, max_size=2).map(tuple),
    "forgiven": st.lists(st.builds(Violation, st.none() | texts, st.none() | texts)).map(tuple),
    "as_of": st.none() | st.dates(date(2022, 1, 1), date(2030, 1, 1)),
    "day": st.none() | st.dates(date(2022, 1, 1), date(2030, 1, 1)),
}
"""Values of each field that can be rendered together."""


def strategy_of(name: str) -> st.SearchStrategy[Any]:
    """Draws values of the field *name*."""
    assert name in VALUES, f"VALUES of {__file__} needs values of {name}"
    return VALUES[name]


FILE_FIELDS: Final = [*codecs_of(ImageRequest, *set(FieldEffect) - {FieldEffect.DELIVERY})]
DELIVERY_FIELDS: Final = [*codecs_of(ImageRequest, FieldEffect.DELIVERY)]


@st.composite
def requests(draw: st.DrawFn) -> ImageRequest:
    values = {name: draw(strategy) for name, strategy in VALUES.items()}
    if values["operation"] is GENERATIONS:
        values |= {"images": (), "mask": None}
    return ImageRequest(**values)


def values_of(request: ImageRequest) -> dict[str, Any]:
    return {each.name: getattr(request, each.name) for each in fields(request)}


def changed(request: ImageRequest, **values: Any) -> ImageRequest:
    return ImageRequest(**values_of(request) | values)


def test_there_are_values_of_every_field() -> None:
    names = {each.name for each in fields(ImageRequest)}
    assert VALUES.keys() == names, f"VALUES of {__file__} needs values of a new field"


def test_a_field_without_a_mark_fails_at_import() -> None:
    marked = [("prompt", str, field(metadata=DRAWING)), ("seed", int, field())]
    with pytest.raises(TypeError, match=r"^Marked\.seed does not say what it decides$"):
        codecs_of(make_dataclass("Marked", marked))


PROMPT = ("prompt", str, field(metadata=DRAWING))


def added(name: str, **mark: Any) -> tuple[str, type, Any]:
    return name, object, field(default=None, metadata=DRAWING | ADDED_LATER | mark)


def test_a_field_that_was_added_later_leaves_no_trace_where_it_is_null() -> None:
    first = make_dataclass("First", [PROMPT])
    later = make_dataclass("Later", [PROMPT, added("seed"), added("hue"), added("logos", **IMAGES)])
    key = key_function(later, FieldEffect.DRAWING)
    assert key(later("x")) == key_function(first, FieldEffect.DRAWING)(first("x")) == ("x",)
    assert key(later("x", seed=1)) == ("x", "seed", "1")
    assert key(later("x", logos=DECODED[:1])) == ("x", "logos", DECODED[0].digest)
    values = [later("x", **{name: value}) for name in ("seed", "hue") for value in (0, 1, "")]
    assert len({*map(key, values), ("x",)}) == 7


def test_a_field_that_was_added_later_is_null_by_default() -> None:
    wrong = ("seed", int, field(default=0, metadata=ENCODING | ADDED_LATER))
    with pytest.raises(TypeError, match=r"^Marked\.seed is not None by default$"):
        key_function(make_dataclass("Marked", [PROMPT, wrong]), FieldEffect.ENCODING)


def test_every_field_since_the_first_ones_is_marked_as_added_later() -> None:
    """The others change the keys of all pictures, and with them what is drawn."""
    places = [each.name for each in fields(ImageRequest) if {*each.metadata} & {*ADDED_LATER}]
    first = [name for name in FILE_FIELDS if name not in places]
    assert first == [
        *("operation", "model", "prompt", "size", "quality", "style", "background", "complexity"),
        *("input_fidelity", "output_format", "output_compression"),
        *("frame_count", "frame_duration_ms", "images", "mask", "markup"),
    ]


FIRST_MODELS_UNTIL = date(2026, 11, 25)
"""The last day on which a model was released whose pictures must stay as they are."""


def names_with_a_value_in_every_call() -> set[str]:
    """The parameters that a first model has a value of where the call has none."""
    return {
        name
        for model in MODELS.values()
        if model.released <= FIRST_MODELS_UNTIL
        for rules in model.rules.values()
        for name, rule in rules.items()
        if rule.resolve(None, None, {}) is not None
    }


def test_a_field_that_was_added_later_has_no_value_in_calls_without_it() -> None:
    """Else its key, and so the picture, of each call of the models that were there changes."""
    later = {each.name for each in fields(ImageRequest) if {*each.metadata} & {*ADDED_LATER}}
    with_value = names_with_a_value_in_every_call()
    assert "background" in with_value
    assert not later & with_value & {*FILE_FIELDS}


@pytest.mark.slow
@usual
@given(requests(), st.data())
def test_requests_with_equal_keys_get_equal_files(
    request: ImageRequest, data: st.DataObject
) -> None:
    other = changed(request, **{name: data.draw(strategy_of(name)) for name in DELIVERY_FIELDS})
    assert other.cache_key == request.cache_key
    assert other.drawing_key == request.drawing_key
    assert render_image(other, 1) == render_image(request, 1)


@pytest.mark.slow
@usual
@given(requests(), st.integers(1, 3), st.integers(1, 3))
def test_a_partial_image_is_the_same_in_a_stream_of_any_length(
    request: ImageRequest, one: int, two: int
) -> None:
    plain = changed(request, output_format="png")
    few, many = (
        dict(render_stream(changed(plain, partial_images=count))) for count in sorted((one, two))
    )
    assert few.items() <= many.items()


@pytest.mark.parametrize("name", FILE_FIELDS)
def test_a_change_of_a_field_that_decides_a_file_changes_the_key(name: str) -> None:
    strategy = pictures if name == "markup" else strategy_of(name)
    (decided,) = (mark for mark in FieldEffect if name in codecs_of(ImageRequest, mark))

    @keys_only
    @given(requests(), strategy)
    def check(request: ImageRequest, value: Any) -> None:
        other = changed(request, **{name: value})
        assume(other != request)
        assert other.cache_key != request.cache_key
        assert (other.drawing_key != request.drawing_key) is (decided is FieldEffect.DRAWING)

    check()


OF_THE_JUDGE: Final = {"forgiven", "as_of", "day"}
"""The fields that tell how a call was judged, and not what it asks for."""


@pytest.mark.parametrize("name", DELIVERY_FIELDS)
def test_requests_are_equal_that_differ_in_how_they_were_judged(name: str) -> None:
    request = ImageRequest(operation=GENERATIONS, model=MODELS["gpt-image-2"], size=(64, 48))

    @keys_only
    @given(strategy_of(name))
    def check(value: Any) -> None:
        assume(value != getattr(request, name))
        assert (changed(request, **{name: value}) == request) is (name in OF_THE_JUDGE)

    check()


def test_the_recipe_has_the_fields_that_decide_a_file_but_for_frames() -> None:
    pictures = {
        "images": (DECODED[0], DECODED[1]),
        "mask": DECODED[2],
        "markup": DECODED[3],
        "own_pictures": (OwnPicture(FILES[0]),),
    }
    empty = {each.name for each in fields(ImageRequest) if each.default is None}
    texts = dict.fromkeys(empty & {*FILE_FIELDS}, "x")
    request = ImageRequest(
        operation=EDITS,
        model=next(iter(MODELS.values())),
        size=(64, 48),
        **{**texts, **pictures},  # type: ignore[arg-type]
    )
    recipe = request.recipe()
    assert {*recipe} == {*FILE_FIELDS} - {"frame_count", "frame_duration_ms"}
    assert recipe["size"] == "64x48"
    assert recipe["images"] == [DECODED[0].digest, DECODED[1].digest]
    assert recipe["own_pictures"] == [DECODED[0].digest]


def read(values: Mapping[str, Any], files: Mapping[str, bytes] = DATA) -> ImageRequest:
    def picture(description: Mapping[str, Any]) -> CallImage:
        return restore(description, DATA[description["digest"]])

    return ImageRequest.from_json(values, models=MODELS, image=picture, file=files.__getitem__)


@pytest.mark.slow
@usual
@given(requests())
def test_a_request_survives_json(request: ImageRequest) -> None:
    other = read(json.loads(json.dumps(request.to_json())))
    assert values_of(other) == values_of(request)
    assert other.cache_key == request.cache_key
    assert render_image(other, 0) == render_image(request, 0)


@pytest.mark.parametrize(
    "values",
    [
        *({}, {"size": "64"}, {"size": 64}, {"model": "none"}, {"operation": "list_models"}),
        *({"seed": 1}, {"images": [{"digest": "none"}]}, {"images": 1}, {"images": [1]}),
        *({"forgiven": [[1, 2, 3]]}, {"as_of": "yesterday"}),
        *({"own_pictures": [{"digest": "none"}]}, {"own_pictures": 1}, {"own_pictures": [1]}),
    ],
)
def test_json_of_no_request_is_refused(values: dict[str, Any]) -> None:
    valid = {"operation": "edits", "model": next(iter(MODELS)), "size": "64x64"} if values else {}
    with pytest.raises(ValueError, match=r"^this is no request: "):
        read(valid | values)

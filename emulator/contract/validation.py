"""A call and the table, brought together: a request that is right, or the API's own error.

Two gates, as the API has them. The gateway knows names, types, ranges and words. The image service
behind it knows whether the model exists, its sizes, its files, and how parameters combine. Each
takes the parameters in the order of the model's rows; the first error wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from emulator.contract import errors
from emulator.contract.errors import APIError
from emulator.contract.models import DEFAULTS, MODEL, MODELS, UNKNOWN
from emulator.contract.request import Call, Darkroom, Endpoint, ImageRequest, Model, Picture
from emulator.contract.rules import Rule
from emulator.contract.uploads import Images, Overlay

Values = dict[str, Any]

_REQUEST_FIELDS: Final = {field.name for field in fields(ImageRequest)}

_ROOTS: Final[Mapping[bool, str]] = {True: "image", False: "images"}
"""What the uploads are called in a form and in JSON."""


def validate(call: Call, darkroom: Darkroom) -> ImageRequest:
    """The request that *call* makes. Raises APIError where the API would refuse it."""
    named = _model_name(call)
    model = MODELS.get(named)
    if model and call.endpoint not in model.accepts:
        # Recorded for gpt-image-1 at edits, when dall-e-2 was the model of that endpoint.
        listed = errors.listed(DEFAULTS[call.endpoint, True][:1])
        raise errors.value_not_this(name="model", value=named, listed=listed)
    values = _gateway(call, model or _stand_in(call.endpoint))
    if not model:
        raise errors.no_such_model(model=named)
    return _service(call, model, values, darkroom)


def _model_name(call: Call) -> str:
    if "model" in call.fields:
        named = call.fields["model"]
        MODEL.check("model", named)
        return str(named)
    return _default_model(call)


def _default_model(call: Call) -> str:
    """The first default, or a later one where a parameter is there that only that one takes."""
    first, *later = DEFAULTS[call.endpoint, call.form]
    for candidate in later:
        for name, value in call.fields.items():
            if _takes(candidate, call, name, value) and not _takes(first, call, name, value):
                return candidate
    return first


def _takes(model: str, call: Call, name: str, value: Any) -> bool:
    rule = _rows(MODELS[model], call).get(name)
    if rule is None or isinstance(rule, Images):
        # Files do not choose the model, their number does.
        return rule is not None and not (isinstance(value, list) and len(value) > rule.most)
    try:
        value = _read(rule, name, value, call.form)
        if value is not None:
            rule.check(name, value)
            rule.limit(name, value, model)
    except APIError:
        return False
    return True


def _stand_in(endpoint: Endpoint) -> Model:
    """A model whose rows the gateway goes by where it does not know the one that is asked for."""
    if endpoint in UNKNOWN.accepts:
        return UNKNOWN
    return next(model for model in MODELS.values() if endpoint in model.accepts)


def _rows(model: Model, call: Call) -> Mapping[str, Rule]:
    """The rows of *model*, the uploads named as they are in this kind of body."""
    rows = model.accepts[call.endpoint]
    return {_ROOTS[call.form] if name == "image" else name: rule for name, rule in rows.items()}


def _read(rule: Rule, name: str, value: Any, form: bool) -> Any:
    """A field as JSON would have carried it."""
    if not form:
        return value
    if isinstance(value, str) and not isinstance(rule, (Images, Overlay)):
        return rule.coerce(name, value)
    return value


def _gateway(call: Call, model: Model) -> Values:
    rows = _rows(model, call)
    for name in call.fields:
        if name != "model" and name not in rows:
            raise _unknown(name, call, rows)
    values: Values = {}
    for name, rule in rows.items():
        value = call.fields.get(name)
        if name in call.fields:
            value = _read(rule, name, value, call.form)
        if value is not None or (name in call.fields and not rule.nullable):
            if isinstance(rule, Images) and not (call.form or rule.json):
                listed = errors.listed(["multipart/form-data"])
                raise errors.unsupported_content_type(given="application/json", listed=listed)
            rule.check(name, value)
            values[name] = value
        elif rule.required:
            raise errors.missing_parameter(name=name)
    return values


def _unknown(name: str, call: Call, rows: Mapping[str, Rule]) -> APIError:
    if "images" in rows and name in ("image", "image[]"):
        return errors.image_in_json(path=call.endpoint.path)
    if "image" in rows and name == "images":
        return errors.images_in_form()
    return errors.unknown_parameter(name=name)


def _service(call: Call, model: Model, values: Values, darkroom: Darkroom) -> ImageRequest:
    rows = _rows(model, call)
    for name, value in values.items():
        rows[name].limit(name, value, model.id)
    # An upload's proportions settle `auto`, but its bytes are looked at last: they take longest.
    settled = values | {
        name: rule.settle(values.get(name), None)
        for name, rule in rows.items()
        if not isinstance(rule, (Images, Overlay))
    }
    for conflict in model.conflicts:
        conflict.check(settled)
    pictures = _open(rows, values, darkroom)
    images: tuple[Picture, ...] = pictures.get("images", ())
    if images:
        source = (images[0].width, images[0].height)
        settled["size"] = rows["size"].settle(values.get("size"), source)
    known = {
        name: value
        for name, value in (settled | pictures).items()
        if name in _REQUEST_FIELDS and value is not None
    }
    return ImageRequest(**(known | {"endpoint": call.endpoint, "model": model}))


def _open(rows: Mapping[str, Rule], values: Values, darkroom: Darkroom) -> Values:
    """The uploads of a call as pictures, under the names that a request gives them."""
    opened: Values = {}
    for name, rule in rows.items():
        if name in values and isinstance(rule, Images):
            opened["images"] = rule.open(name, values[name], darkroom)
            if "mask" not in values:
                opened["mask"] = rule.mask_of(opened["images"])
        elif name in values and isinstance(rule, Overlay):
            opened[name] = rule.open(name, values[name], opened["images"][0], darkroom)
    return opened

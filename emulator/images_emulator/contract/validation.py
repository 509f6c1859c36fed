"""A call and the table, brought together: a request that is right, or the API's own error.

Two gates, as the API has them. The gateway knows names, types, ranges and words. The image service
behind it knows whether the model exists, its sizes, its files, and how parameters combine. Each
takes the parameters in the order of the model's rows; the first error wins.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from images_emulator.contract import errors
from images_emulator.contract.availability import Rows, availability_on
from images_emulator.contract.calendar import Policy
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.errors import APIError, Violation, Words
from images_emulator.contract.models import LISTED_MODEL
from images_emulator.contract.pictures import OverlayRule, Pictures
from images_emulator.contract.request import Call, ImageLoader, ImageRequest, Model
from images_emulator.contract.rules import Rule

Values = dict[str, Any]

MAX_VIOLATIONS: Final = 100
"""Forgiven mistakes that a request names; a body may have a million unknown names."""

_REQUEST_FIELDS: Final = {field.name for field in fields(ImageRequest)}


def validate(
    call: Call, loader: ImageLoader, policy: Policy | None = None, dialect: Dialect = OPENAI
) -> ImageRequest:
    """The request that *call* makes. Raises APIError where the service that speaks *dialect* would
    refuse it, in the words of the day that the call is judged by."""
    policy = policy or Policy()
    try:
        return _Judgement(call, loader, policy, dialect).request()
    except APIError as error:
        raise call.operation.error_of_day(error, policy.day) from None


class _Judgement:
    """One call on its way through both gates; *forgiven* is what lenience has let pass."""

    def __init__(self, call: Call, loader: ImageLoader, policy: Policy, dialect: Dialect) -> None:
        self.call = call
        self.loader = loader
        self.policy = policy
        self.available = availability_on(policy.as_of, dialect, policy.day)
        self.forgiven: list[Violation] = []
        self.source: tuple[int, int] | None = None

    def forgive(self, error: APIError) -> None:
        """Raise *error*, unless what can be forgiven is."""
        if not self.policy.lenient:
            raise error
        self.forgiven.append(Violation.of(error))

    def request(self) -> ImageRequest:
        named = self._model_name()
        model = self.available.models.get(named)
        unknown = None if model else errors.no_such_model(model=named)
        if model and self.call.operation not in model.accepts:
            listed = Words([LISTED_MODEL])
            self.forgive(errors.value_not_this(name="model", value=named, listed=listed))
            model = None
        if not model and self.policy.lenient:
            model = self.available.models.get(self.available.default(self.call) or "")
        judged, rows = self._judged_by(model)
        values = self._gateway(rows)
        if unknown:
            self.forgive(unknown)
        return self._service(judged, rows, values)

    # --- the model

    def _judged_by(self, model: Model | None) -> tuple[Model, Rows]:
        """The rows that the gateway goes by: the model's own, or where there is none of that name
        on that day the newest model's. Whether it exists is for the service behind to say."""
        if model:
            return model, self.available.rows(model, self.call)
        stand_in = self.available.stand_in(self.call.operation)
        return stand_in, self.available.rows(stand_in, self.call)

    def _model_name(self) -> str:
        name = self.available.model_name(self.call, self.forgive)
        if name is None:
            self.forgive(errors.missing_parameter(name="model"))
            return self.available.stand_in(self.call.operation).id
        return name

    # --- the gateway

    def _gateway(self, rows: Rows) -> Values:
        for name in self.call.fields:
            if name != "model" and name not in rows:
                self.forgive(self._unknown(name, rows))
        values: Values = {}
        for name, rule in rows.items():
            try:
                value = self._checked(name, rule)
            except APIError as error:
                uploads = isinstance(rule, Pictures) and name in self.call.fields
                if rule.required and not uploads:
                    raise
                self.forgive(error)
                if not uploads:
                    continue
                value = self.call.fields[name]
            if value is not None:
                values[name] = value
        return values

    def _checked(self, name: str, rule: Rule) -> Any:
        given = name in self.call.fields
        value = self.call.fields.get(name)
        if self.call.form:
            value = rule.from_form(name, value)
            # Nothing in a form is null: its empty fields are not given.
            given = value is not None
        if value is None and (not given or rule.nullable):
            if rule.required:
                raise errors.missing_parameter(name=name)
            return None
        rule.check(name, value)
        return value

    def _unknown(self, name: str, rows: Rows) -> APIError:
        if "images" in rows and name in ("image", "image[]"):
            return errors.image_in_json(path=self.call.operation.path)
        image = rows.get("image")
        if isinstance(image, Pictures) and image.most > 1 and name == "images":
            return errors.images_in_form()
        return errors.unknown_parameter(name=name)

    # --- the image service

    def _service(self, model: Model, rows: Rows, values: Values) -> ImageRequest:
        for name, value in list(values.items()):
            try:
                rows[name].check_supported(name, value, model.id, values)
            except APIError as error:
                self.forgive(error)
                del values[name]
        resolved = self._resolved(rows, values)
        for conflict in self.available.conflicts(model, self.call):
            try:
                conflict.check(resolved)
            except APIError as error:
                self.forgive(error)
                values.pop(conflict.yielding, None)
                resolved = self._resolved(rows, values)
        # The bytes of uploads are looked at last: they take longest.
        pictures = self._opened(rows, values)
        resolved["size"] = rows["size"].resolve(values.get("size"), self.source, values)
        known = {
            name: value
            for name, value in (resolved | pictures).items()
            if name in _REQUEST_FIELDS and value is not None
        }
        proven = {
            "operation": self.call.operation,
            "model": model,
            "forgiven": tuple(self.forgiven[:MAX_VIOLATIONS]),
            "as_of": self.policy.as_of,
        }
        return ImageRequest(**(known | proven))

    def _resolved(self, rows: Rows, values: Values) -> Values:
        return {name: rule.resolve(values.get(name), None, values) for name, rule in rows.items()}

    def _opened(self, rows: Rows, values: Values) -> Values:
        """The uploads as pictures, under the names that a request gives them."""
        opened: Values = {"mask": None, "markup": None}
        for name, rule in rows.items():
            if name not in values:
                continue
            if isinstance(rule, Pictures):
                before = len(self.forgiven)
                images = rule.open(name, values[name], self.loader, self.forgive)
                # A blank picture in place of another has no proportions to keep.
                if len(self.forgiven) == before:
                    self.source = images[0].width, images[0].height
                opened["images"] = images
                if "mask" not in values:
                    opened["mask"] = rule.mask_of(images, self.forgive)
            elif isinstance(rule, OverlayRule):
                try:
                    first = opened["images"][0]
                    opened[name] = rule.open(name, values[name], first, self.loader)
                except APIError as error:
                    self.forgive(error)
        return opened

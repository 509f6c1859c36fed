"""Validation: turns a call into a valid request, by the tables, or raises the API's own error.

Validation has two stages, as the API has. The gateway checks names, types, ranges and words. The
image service behind it checks the model, the parameters that the model supports, their
combinations, and the files. Each stage checks the parameters in the order of the model's rules, and
the first error ends the validation, unless the policy is lenient.
"""

from __future__ import annotations

from typing import Any, Final

from images_emulator.contract import errors
from images_emulator.contract.call_image import ImageLoader
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.image_rules import InputImages, OverlayRule
from images_emulator.contract.message_format import Words
from images_emulator.contract.model import Model
from images_emulator.contract.models import LISTED_MODEL, MODEL_PARAMETER_RULE
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError, Violation
from images_emulator.contract.request import REQUEST_FIELDS, ImageRequest, ParsedCall
from images_emulator.contract.rules import Pixels, Rule, Rules, Values
from images_emulator.contract.tables_of_day import tables_on

MAX_VIOLATIONS: Final = 100
"""The most violations that a lenient request carries, and the most unknown names that are made into
violations: a body may have 32,000."""


def validate(
    call: ParsedCall, loader: ImageLoader, policy: Policy | None = None, dialect: Dialect = OPENAI
) -> ImageRequest:
    """The valid request that *call* makes. Raises APIError, in the newest words, where the provider
    of that *dialect* refuses the call. `ServedExchange.error_answer` makes the answer in the words
    of the day that the call is judged by."""
    return Validation(call, loader, policy or Policy(), dialect).request()


class Validation:
    """The validation of one call. *violations* are the mistakes that it has forgiven so far."""

    def __init__(
        self, call: ParsedCall, loader: ImageLoader, policy: Policy, dialect: Dialect
    ) -> None:
        self.call = call
        self.loader = loader
        self.policy = policy
        self.tables = tables_on(policy.as_of, dialect, policy.day)
        self.is_on_older_stack = call.operation.is_on_older_stack(policy.day)
        self.violations: list[Violation] = []
        self.source: Pixels | None = None

    def raise_or_forgive(self, error: APIError) -> None:
        """Raise *error*, or note it as a violation where the policy is lenient and the call is at
        fault. The caller then goes on as if the parameter were omitted. So it must itself raise the
        errors of required parameters, except for input images, which a blank image can replace."""
        if not (self.policy.is_lenient and error.is_client_error):
            raise error
        self.violations.append(Violation.from_error(error))

    def request(self) -> ImageRequest:
        """The valid request. Raises APIError."""
        model, model_error = self._model()
        rules = self.tables.rules(model, self.call)
        values = self._values_past_gateway(rules)
        if model_error:
            self.raise_or_forgive(model_error)
        return self._request_past_service(model, rules, values)

    # --- the model

    def _model(self) -> tuple[Model, APIError | None]:
        """The model by whose rules the call is checked, and the error of a model that does not
        exist, which the image service raises. Raises APIError where the gateway refuses the
        model."""
        name = self._model_name()
        model = self.tables.models.get(name)
        model_error = None if model else errors.no_such_model(model=name)
        only_model, named = self.call.operation.only_model, self.call.fields.get("model")
        if only_model and isinstance(named, str) and named not in ("", only_model):
            # Refused like an unknown model, after the gateway's checks: of calls that named
            # gpt-image-1, a size (2025-05) and unknown names (2025-08) were refused first.
            model_error = errors.no_such_model(model=named)
        if model and self.call.operation not in model.rules:
            listed = Words([LISTED_MODEL])
            self.raise_or_forgive(
                errors.value_not_the_only_one(name="model", value=name, listed=listed)
            )
            model = None
        if not model and self.policy.is_lenient:
            model = self.tables.models.get(self.tables.default_model(self.call) or "")
        # The gateway checks the call of an unknown model by the rules of the newest model. Until
        # 2026-04-17 it listed the models: see `MODELS_AT_GATEWAY`.
        return model or self.tables.newest_model(self.call.operation), model_error

    def _model_name(self) -> str:
        name = self.tables.model_name(self.call, self.raise_or_forgive)
        if name is None:
            self.raise_or_forgive(errors.missing_parameter(name="model"))
            return self.tables.newest_model(self.call.operation).id
        return name

    # --- the gateway

    def _values_past_gateway(self, rules: Rules) -> dict[str, Any]:
        """The values that pass the gateway, in the order of the rules. Null and absent parameters
        are left out."""
        names = self._unknown_names(rules)
        for name in names[:MAX_VIOLATIONS]:
            self.raise_or_forgive(self._unknown_name_error(name, rules, names))
        values: dict[str, Any] = {}
        for name, rule in rules.items():
            try:
                value = self._value_past_gateway(name, rule)
            except APIError as error:
                uploads = isinstance(rule, InputImages) and name in self.call.fields
                if rule.required and not uploads:
                    raise
                self.raise_or_forgive(error)
                if not uploads:
                    continue
                # Each item is checked again when it is loaded, and a blank image replaces those
                # that are no images.
                value = [] if self.call.fields[name] is None else self.call.fields[name]
            if value is not None:
                values[name] = value
        return values

    def _value_past_gateway(self, name: str, rule: Rule) -> Any:
        """The value of a parameter that the gateway lets pass; None where it counts as absent.
        Raises APIError."""
        is_present = name in self.call.fields
        value = self.call.fields.get(name)
        if self.call.is_form:
            value = rule.from_form(name, value)
            # A form has no null. Its empty fields count as absent, except texts.
            is_present = value is not None
        if value is None and (not is_present or rule.nullable):
            if rule.required:
                raise errors.missing_parameter(name=name)
            return None
        rule.check_at_gateway(name, value)
        return value

    def _unknown_names(self, rules: Rules) -> Words:
        """The names that no rule has. The older stack has no arrays: there a name with brackets is
        unknown, and the names are sorted."""
        known_names = {
            *rules,
            *(["model"] if self.policy.as_of in MODEL_PARAMETER_RULE.period else []),
        }
        sent = self.call.sent_names(with_brackets=self.is_on_older_stack)
        names = [name for name in sent if name not in known_names]
        return Words(sorted(names) if self.is_on_older_stack else names)

    def _unknown_name_error(self, name: str, rules: Rules, names: Words) -> APIError:
        if "images" in rules and name in ("image", "image[]"):
            return errors.image_in_json(path=self.call.operation.path)
        image = rules.get("image")
        if isinstance(image, InputImages) and image.max_items > 1 and name == "images":
            return errors.images_in_form()
        return errors.unknown_parameter(name=name, unknown=names)

    # --- the image service

    def _request_past_service(
        self, model: Model, rules: Rules, values: dict[str, Any]
    ) -> ImageRequest:
        """The request of the *values* that have passed the gateway, where the image service lets it
        pass. Raises APIError."""
        for name, value in list(values.items()):
            try:
                rules[name].check_at_service(name, value, model.id, values)
            except APIError as error:
                if rules[name].required:
                    raise
                self.raise_or_forgive(error)
                del values[name]
        resolved = _resolve(rules, values)
        for conflict in self.tables.conflicts(model, self.call):
            try:
                conflict.check(resolved)
            except APIError as error:
                self.raise_or_forgive(error)
                values.pop(conflict.yielding, None)
                resolved = _resolve(rules, values)
        # The files are checked last, because decoding them takes longest.
        images = self._images(rules, values)
        if "size" in rules:
            size = values.get("size")
            if self.violations and size in (None, "auto"):
                size = rules["size"].value_when_lenient(values)
            resolved["size"] = rules["size"].resolve(size, self.source, values)
        elif self.source:
            resolved["size"] = self.source
        arguments = {
            name: value
            for name, value in (resolved | images).items()
            if name in REQUEST_FIELDS and value is not None
        }
        arguments |= {
            "operation": self.call.operation,
            "model": model,
            "forgiven": tuple(self.violations[:MAX_VIOLATIONS]),
            "as_of": self.policy.as_of,
            "day": self.policy.day,
        }
        return ImageRequest(**arguments)

    def _images(self, rules: Rules, values: Values) -> dict[str, Any]:
        """The images of the call, under the names that a request gives them."""
        loaded: dict[str, Any] = {"mask": None, "markup": None}
        for name, rule in rules.items():
            if name not in values:
                continue
            if isinstance(rule, InputImages):
                before = len(self.violations)
                images = rule.load(name, values[name], self.loader, self.raise_or_forgive)
                # The proportions of a blank image, which replaces an invalid file, do not count.
                if len(self.violations) == before:
                    self.source = images[0].width, images[0].height
                loaded["images"] = images
                if "mask" not in values:
                    loaded["mask"] = rule.mask_of(images, self.raise_or_forgive)
            elif isinstance(rule, OverlayRule):
                try:
                    first = loaded["images"][0]
                    loaded[name] = rule.load(name, values[name], first, self.loader)
                except APIError as error:
                    self.raise_or_forgive(error)
        return loaded


def _resolve(rules: Rules, values: Values) -> dict[str, Any]:
    """*values* with every default and every `auto` resolved. The size is resolved without the
    uploads."""
    return {name: rule.resolve(values.get(name), None, values) for name, rule in rules.items()}

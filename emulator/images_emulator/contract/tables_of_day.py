"""The tables on one day: the models of the day, and the model of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from images_emulator.contract import errors
from images_emulator.contract.calendar import AsOf, Day
from images_emulator.contract.conflicts import Conflict, conflicts_within
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.image_rules import InputImages
from images_emulator.contract.message_format import Words
from images_emulator.contract.model import Model
from images_emulator.contract.models import (
    MODEL_PARAMETER_RULE,
    MODEL_PARAMETER_RULES,
    MODELS,
    newest_of,
)
from images_emulator.contract.operations import FORM, JSON, Operation
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ParsedCall
from images_emulator.contract.rules import Choice, Rule, Rules
from images_emulator.contract.sizes import ServiceSize


class TablesOfDay:
    """The tables on one day: the models of *as_of* and their rules in a *dialect*.
    The results of its methods never change, so one instance serves all calls of that day: see
    `tables_on`.

    Each rule has its version of that day. Where *as_of* is None (`any`), each rule has its version
    of *day*, so that an announced change takes effect on its day.
    """

    def __init__(self, as_of: AsOf, dialect: Dialect = OPENAI, day: Day = None) -> None:
        self.as_of = as_of
        self.dialect = dialect
        self.day = as_of or day
        self._rules: dict[tuple[str, Operation, bool], Rules] = {}
        self._conflicts: dict[tuple[str, Operation, bool], Sequence[Conflict]] = {}
        self.models: Mapping[str, Model] = {
            name: model for name, model in MODELS.items() if model.exists_on(as_of)
        }

    def rules(self, model: Model, call: ParsedCall) -> Rules:
        """The rules of *model* for the operation and the kind of body of *call*. Raises APIError
        where the model takes no such body."""
        key = (model.id, call.operation, call.is_form)
        rules = self._rules.get(key)
        if rules is None:
            rules = self._rules[key] = self._rules_of_day(model, call)
        return rules

    def conflicts(self, model: Model, call: ParsedCall) -> Sequence[Conflict]:
        """The conflicts that *call* can have at *model*. Raises APIError where the model takes no
        such body."""
        key = (model.id, call.operation, call.is_form)
        conflicts = self._conflicts.get(key)
        if conflicts is None:
            rules = self.rules(model, call)
            conflicts = conflicts_within(rules, model.conflicts, self.day)
            self._conflicts[key] = conflicts
        return conflicts

    def _rules_of_day(self, model: Model, call: ParsedCall) -> Rules:
        rules: dict[str, Rule] = {}
        for name, dated in model.rules[call.operation].items():
            if self.as_of not in dated.period:
                continue
            rule = self.dialect.adapt_rule(name, dated.version_on(self.day))
            if call.is_form:
                rules[name] = rule
                continue
            json_rule = rule.json_rule(self.as_of)
            if json_rule is None:
                raise errors.unsupported_content_type(content_type=JSON, listed=Words([FORM]))
            rules["images" if isinstance(rule, InputImages) else name] = json_rule
        return rules

    def model_name(
        self, call: ParsedCall, raise_or_forgive: Callable[[APIError], None] = lambda error: None
    ) -> str | None:
        """The name of the model of *call*, whether the model exists or not: the only model of the
        operation, the model that the call names, or the default. None where all three are missing.

        An error of the name is passed to *raise_or_forgive*, which may raise it.
        """
        name = self.named_model(call, raise_or_forgive)
        if call.operation.only_model:
            return call.operation.only_model
        return self.default_model(call) if name is None else name

    def named_model(
        self, call: ParsedCall, raise_or_forgive: Callable[[APIError], None]
    ) -> str | None:
        """The name that *call* has as its `model`; None where it has none, or one with an error,
        which is passed to *raise_or_forgive*."""
        names = call.sent_names(with_brackets=call.operation.is_on_older_stack(self.day))
        if "model" not in names or self.as_of not in MODEL_PARAMETER_RULE.period:
            return None
        name = call.fields["model"]
        try:
            rule = MODEL_PARAMETER_RULES.get(call.operation, MODEL_PARAMETER_RULE).version_on(
                self.day
            )
            rule.check_at_gateway("model", name)
        except APIError as error:
            raise_or_forgive(error)
            return None
        return str(name)

    def default_model(self, call: ParsedCall) -> str | None:
        """The model of a call that names none: the first default model, or a later one if the call
        has a parameter that only the later one takes. None where there is no default model."""
        periods = call.operation.bodies[FORM if call.is_form else JSON].default_models
        names = next((names for period, names in periods if self.as_of in period), None)
        if names is None:
            return None
        candidates = [self.models[name] for name in names if name in self.models]
        if not candidates:
            return names[0]
        first, *later = candidates
        for candidate in later:
            for name, value in call.fields.items():
                if self._takes(candidate, call, name, value) and not self._takes(
                    first, call, name, value
                ):
                    return candidate.id
        return first.id

    def _takes(self, model: Model, call: ParsedCall, name: str, value: Any) -> bool:
        """Whether *model* takes *value* for the parameter *name*. Only words, sizes and numbers of
        files are checked."""
        rule = self.rules(model, call).get(name)
        if isinstance(rule, InputImages):
            return not isinstance(value, list) or 1 < rule.max_items >= len(value)
        if not isinstance(rule, (Choice, ServiceSize)):
            return rule is not None
        try:
            rule.check_at_gateway(name, value)
            # The other fields are not checked yet.
            rule.check_at_service(name, value, model.id, {})
        except APIError:
            return False
        return True

    def newest_model(self, operation: Operation) -> Model:
        """The model whose rules check a call of *operation* that names an unknown model. It is the
        newest model of the day that serves *operation*, as recorded. Where the day has none, it is
        the first such model of the table."""
        accepting = [model for model in MODELS.values() if operation in model.rules]
        offered = [model for model in accepting if model.id in self.models]
        return newest_of(offered or accepting[:1])


@lru_cache(maxsize=64)
def tables_on(as_of: AsOf, dialect: Dialect = OPENAI, day: Day = None) -> TablesOfDay:
    """The tables on the day *as_of* in a *dialect*, read once for all calls of that day. *day* is
    `Policy.day`, which counts where *as_of* is None; without either, every rule has its newest
    version."""
    return TablesOfDay(as_of, dialect, day)

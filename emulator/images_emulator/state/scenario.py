"""The scenario: its steps, and steps that a test injects, decide which fault and which answer a
call meets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from images_emulator.contract.refusal import APIError
from images_emulator.exchange.field_path import FieldPath
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.immutable import Immutable
from images_emulator.settings import Settings
from images_emulator.state.match_keys import MatchInput
from images_emulator.state.random_ids import random_id
from images_emulator.state.rate_limits import Admission
from images_emulator.state.scenario_step import ScenarioStep, StepOrigin
from images_emulator.state.step_scan import StepScan, StepScans
from images_emulator.state.steps import CODEC, Steps
from images_emulator.state.store import (
    ClaimCount,
    ClaimOutcome,
    StaleRegistersError,
    Store,
    is_spent,
)

if TYPE_CHECKING:
    from images_emulator.faults.base import BaseFault
    from images_emulator.own_answers.picture_files import PictureFile
    from images_emulator.step_documents.pictures_folder import NamedStep, PicturesFolder
    from images_emulator.step_documents.scenario_document import StepDocument


class StepFinding(NamedTuple):
    """What a search of the scenario for the step of a call has found: the step that the call meets,
    or that it meets none."""

    step: ScenarioStep | None = None
    """The step that the call has met; None where it has met none."""
    met_count: int = 0
    """The number of calls that have met the step, this one included."""
    near_misses: Sequence[NearMiss] = ()
    """Why the call met none of the first steps; empty where it has met a step, and where the store
    is away."""

    @property
    def fault(self) -> BaseFault | None:
        """The fault of the step; None for a step with an answer, and for no step."""
        return self.step.document.fault if self.step else None


class UnmetStep(Immutable):
    """A fault or an answer that still waits for a call: it has been *met* by fewer calls than its
    *times*, or by none. Its text is one line."""

    id: str
    """The id of the step in the admin API."""
    title: str
    """`injected` or `step 1`, with the name of the fault, or of the answer's picture."""
    match: Mapping[str, Any]
    """The calls that it is for; the API key is redacted."""
    times: int | None
    """The number of calls that it is for; None for any number."""
    met: int
    """The number of calls that have met it."""

    def __str__(self) -> str:
        wanted = ", ".join(f"{name}={value!r}" for name, value in self.match.items())
        count = "no call" if not self.met else f"{self.met} of {self.times} calls"
        return f"{self.title}{f' for {wanted}' if wanted else ''}: {count}"


class Scenario:
    """The steps in their order, injected ones first. A call meets the first matching step that
    grants it a fault, and the first that grants it an answer.

    An injected step is removed when it has met all its calls; the last removed ones are still
    listed. A step of the scenario stays, for the record. Any thread may change the steps; that
    blocks, see `Store.run`.

    Its state is in *store*. It begins with the steps *initial* and the answers in *folder*, which
    is read. Raises ValueError where the folder is missing or has mistakes.
    """

    def __init__(
        self,
        store: Store,
        initial: Sequence[StepDocument] = (),
        folder: PicturesFolder | None = None,
    ) -> None:
        self._store = store
        self._initial = initial
        self._folder = folder
        self._answers: Sequence[NamedStep] = ()
        self.read_pictures()
        self._steps = store.register("scenario", self._new_steps(self._initial), CODEC)
        self._counters = store.counters("scenario", self._revive)
        self._scans = StepScans()

    def for_store(self, store: Store) -> Scenario:
        """A copy of the scenario at its start, with its state in another *store*. Raises ValueError
        for mistakes in the folder of pictures."""
        return Scenario(store, self._initial, self._folder)

    def read_pictures(self) -> None:
        """Read the folder of pictures anew, where there is one; `reset` begins with its answers.
        Raises ValueError for mistakes in it."""
        if self._folder is not None:
            self._answers = self._folder.read()

    @property
    def pictures_summary(self) -> str | None:
        """How many pictures the folder of pictures has, in words; None without one."""
        return self._folder.summary if self._folder else None

    def __bool__(self) -> bool:
        steps = self._steps.value
        return bool(steps.injected or steps.planned)

    @property
    def step_count(self) -> int:
        """The number of steps, injected and planned."""
        steps = self._steps.value
        return len(steps.injected) + len(steps.planned)

    @property
    def is_at_its_start(self) -> bool:
        """Whether there are only the steps of the settings, met or not. The check is slow."""
        steps, start = self._steps.value, self._new_steps(self._initial)
        documents = [
            [(step.name, step.document.pack({})) for step in each.planned]
            for each in (steps, start)
        ]
        return not steps.injected and documents[0] == documents[1]

    @property
    def has_faults(self) -> bool:
        """Whether a call may meet a fault, or a near miss of one."""
        return self._steps.value.has_faults

    @property
    def has_answers(self) -> bool:
        """Whether a call may meet an answer, or a near miss of one."""
        return self._steps.value.has_answers

    @property
    def expensive_keys(self) -> frozenset[str]:
        """The keys of `match` that its steps ask for, of those that are `MatchKey.is_expensive`."""
        return self._steps.value.expensive_keys

    @property
    def paths(self) -> tuple[FieldPath, ...]:
        """The paths to fields that its steps ask for."""
        return self._steps.value.paths

    async def claim_early(
        self, make_match_input: Callable[[], Awaitable[MatchInput]]
    ) -> StepFinding | None:
        """Do what `claim` does for a fault, while the call is entered in the journal. With a shared
        store, the claim then needs no round trip of its own: see `FaultSearch.start_early_search`.
        Return None where this cannot tell whether the call meets a step, so that `claim` has to be
        called afterwards: where no step matches what *make_match_input* gives, a step before it
        could not be compared in time, the steps or other registers have changed, or the store is
        away."""
        steps = self._steps.value
        with suppress(APIError, StaleRegistersError):
            # The files that a call names by their ids may be in the store, too.
            match_input = await make_match_input()
            if steps is not self._steps.value:
                return None
            scan = self._scans.scan_of(steps, match_input)
            if next(scan.matching(), None) is None or not scan.is_certain:
                return None
            # The counter of the step decides whether the call meets it.
            steps_to_explain = scan.steps_to_explain()
            outcome = await self._counters.claim_if_fresh(
                lambda: self._steps.value is steps,
                scan.matching(),
                asked_keys=_ids(steps_to_explain),
            )
            return await self._finding(outcome, scan, steps_to_explain)
        return None

    async def claim(self, match_input: MatchInput) -> StepFinding:
        """Search for the step that a call with this *match_input* meets, and count the call as one
        that has met it: a step with a fault, or of a validated call a step with an answer. Raises
        APIError where the store is away, unless no step matches the call."""
        scan = self._scans.scan_of(self._steps.value, match_input)
        steps_to_explain = scan.steps_to_explain()
        try:
            outcome = await self._counters.claim(scan.matching(), asked_keys=_ids(steps_to_explain))
        except APIError:
            if next(scan.matching(), None):
                raise
            # The call goes on where the store is away. Only its near misses are not known.
            return StepFinding()
        return await self._finding(outcome, scan, steps_to_explain)

    async def admit_and_claim(self, admission: Admission, match_input: MatchInput) -> StepFinding:
        """Take the tokens of *admission*, and do what `claim` does if the call is admitted. Raises
        APIError where it is not, and where the store is away."""
        scan = self._scans.scan_of(self._steps.value, match_input)
        steps_to_explain = scan.steps_to_explain()
        take, outcome = await self._counters.take_and_claim(
            admission.pending_take, scan.matching(), asked_keys=_ids(steps_to_explain)
        )
        admission.check(take)
        return await self._finding(outcome, scan, steps_to_explain)

    async def _finding(
        self,
        outcome: ClaimOutcome[ScenarioStep],
        scan: StepScan,
        steps_to_explain: Sequence[ScenarioStep],
    ) -> StepFinding:
        """The finding of a claim with this *outcome*. A step that has now met all its calls becomes
        a spent one."""
        if not outcome.granted:
            return StepFinding(near_misses=scan.near_misses(steps_to_explain, outcome.counts))
        step, count = outcome.granted
        if is_spent(step, count):
            await self._steps.update_soon(lambda steps: steps.with_spent(step))
        return StepFinding(step, count.grants)

    async def _revive(self, step_id: str) -> None:
        """Let the step with this id be met again, because its last grant was revoked."""
        if any(step.id == step_id for step in self._steps.value.spent_steps()):
            await self._steps.update(lambda steps: steps.with_revived(step_id))

    def inject(
        self,
        fault: str | Mapping[str, Any],
        *,
        times: int | None = 1,
        match: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Let the next *times* calls that *match* (None: all) meet *fault* with these *settings*.
        The step comes before the steps of the scenario, and after steps that were injected earlier.
        Downloads of hosted pictures meet it only where *match* has a `path`, or *fault* is for
        downloads. Raises ValueError."""
        if settings:
            fault = {**({"kind": fault} if isinstance(fault, str) else fault), **settings}
        self.add({"fault": fault, "times": times, "match": dict(match or {})})

    def answer(
        self,
        answer: Mapping[str, Any],
        *,
        times: int | None = None,
        match: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the next *times* calls that *match* (None: all) meet *answer*. Paths are relative to
        the working directory. Raises ValueError."""
        document = {"answer": dict(answer), "times": times, "match": dict(match or {})}
        self.add(document, Path())

    def add(self, document: Mapping[str, Any], folder: Path | None = None) -> str:
        """Inject a step, written as in a scenario. Return its id. Paths in it are relative to
        *folder*; None refuses them. Raises ValueError."""
        from images_emulator.own_answers.picture_files import ReadingContext  # noqa: PLC0415 - most servers need none
        from images_emulator.step_documents.scenario_document import parse_step  # noqa: PLC0415 - it loads pydantic

        step = parse_step(document, ReadingContext(folder))
        self._check([step])
        injected = ScenarioStep(step, "injected", "injected", random_id())
        self._store.run(self._steps.update(lambda steps: steps.with_injected(injected)))
        return injected.id

    def _check(self, steps: Sequence[StepDocument]) -> None:
        """Raises ValueError for a step that the store cannot keep."""
        if self._store.is_shared and any(step.answer and step.answer.function for step in steps):
            raise ValueError(
                "a function answers in its own process alone, and this store is shared"
            )

    def remove(self, step_id: str) -> None:
        """Remove the step with this id, whether it is injected, of the scenario, or spent. `reset`
        brings back the steps of the settings. Raises KeyError where there is none."""
        self._store.run(self._steps.update(lambda steps: steps.without(step_id)))

    def begin_document(self, document: Mapping[str, Any], folder: Path | None = None) -> None:
        """Begin another scenario; injected steps are gone. Paths in it are relative to *folder*;
        None refuses them. Raises ValueError."""
        from images_emulator.own_answers.picture_files import ReadingContext  # noqa: PLC0415 - most servers need none
        from images_emulator.step_documents.scenario_document import parse_scenario  # noqa: PLC0415 - it loads pydantic

        steps = parse_scenario(document, ReadingContext(folder)).steps
        self._check(steps)
        self._begin(steps)

    def begin_file(self, path: str) -> None:
        """Begin the scenario in a file; injected steps are gone. Raises ValueError."""
        from images_emulator.step_documents.scenario_document import read_scenario  # noqa: PLC0415 - it loads pydantic

        self._begin(read_scenario(path).steps)

    def clear(self) -> None:
        """Remove all steps, until `reset` begins the scenario of the settings again."""
        self._store.run(self._replace(Steps()))

    def reset(self) -> None:
        """Begin the scenario of the settings again; injected steps are gone."""
        self._begin(self._initial)

    def as_json(self) -> dict[str, Any]:
        """The steps, and how many calls have met each of them; keys are redacted. Injected ones
        come first, and the spent ones of these last."""
        return {"steps": [step.as_json(count) for step, count in self._steps_with_counts()]}

    def step(self, step_id: str) -> ScenarioStep | None:
        """The step with this id; None where there is none."""
        return next((each for each in self._steps.value.listed() if each.id == step_id), None)

    def pictures_of(self, step_id: str) -> Sequence[PictureFile]:
        """The files of the answer of the step with this id; none for a fault. Raises KeyError where
        there is no such step."""
        step = self.step(step_id)
        if step is None:
            raise KeyError(step_id)
        return step.own_answer.files if step.own_answer else ()

    def unmet(self) -> list[UnmetStep]:
        """The steps that still wait for a call, in their order: those that no call has met, or
        fewer than their `times`. Answers in the folder of pictures without `times` are not among
        them."""
        return [
            UnmetStep(step.id, step.title, step.match_as_json(), step.times, count.grants)
            for step, count in self._steps_with_counts()
            if step.is_unmet(count) and not step.is_answer_for_any_number
        ]

    def _steps_with_counts(self) -> list[tuple[ScenarioStep, ClaimCount]]:
        """The steps with their counts."""
        steps = self._steps.value.listed()
        counts = self._store.run(self._counters.counts([step.id for step in steps]))
        return [*zip(steps, counts, strict=True)]

    def _begin(self, steps: Sequence[StepDocument]) -> None:
        self._store.run(self._replace(self._new_steps(steps)))

    async def _replace(self, steps: Steps) -> None:
        # First, so that no claim on a new step is forgotten. Claims on old steps have other ids.
        await self._counters.clear()
        await self._steps.update(lambda _: steps)

    def _new_steps(self, steps: Sequence[StepDocument]) -> Steps:
        """*steps*, and after them the answers in the folder of pictures, with new counters: calls
        that are under way count for the old ones."""
        run = random_id(8)
        sources: list[tuple[StepDocument, StepOrigin, str]] = [
            *((step, "document", f"step {number}") for number, step in enumerate(steps, 1)),
            *((each.step, "pictures", each.name) for each in self._answers),
        ]
        planned = tuple(
            ScenarioStep(*each, f"{run}-{number}") for number, each in enumerate(sources, 1)
        )
        return Steps.from_steps(planned=planned, live_planned=planned)


def _ids(steps: Sequence[ScenarioStep]) -> list[str]:
    return [step.id for step in steps]


def scenario_of(settings: Settings, store: Store) -> Scenario:
    """The scenario of the *settings*: the steps in its file, and the answers in the folder of
    pictures. Raises ValueError where one is missing or has mistakes."""
    steps: Sequence[StepDocument] = ()
    folder = None
    if settings.scenario is not None:
        from images_emulator.step_documents.scenario_document import read_scenario  # noqa: PLC0415 - most servers need none

        steps = read_scenario(settings.scenario).steps
    if settings.pictures is not None:
        from images_emulator.step_documents.pictures_folder import PicturesFolder  # noqa: PLC0415 - most servers have none

        folder = PicturesFolder(settings.pictures)
    return Scenario(store, steps, folder)

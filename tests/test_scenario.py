"""Scenarios: which call meets which fault, where they come from, and what is wrong with them."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract.operations import IMAGE_OPERATIONS
from images_emulator.exchange.prompts import PromptPattern
from images_emulator.faults.base import BaseFault
from images_emulator.scenarios import ready_scenarios
from images_emulator.state.match_keys import MatchInput
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.scenario import Scenario
from images_emulator.state.scenario_step import ScenarioStep
from images_emulator.state.step_scan import MAX_CACHED_SCANS, MAX_NEAR_MISSES
from images_emulator.state.steps import MAX_SPENT_STEPS
from images_emulator.state.store import ClaimCount
from images_emulator.step_documents.scenario_document import read_scenario
from tests.answers import error_of, messages_for
from tests.conftest import KEY
from tests.pictures import png
from tests.programs import run_command
from tests.waiting import until

READY = [*ready_scenarios().values()]
CALL = MatchInput("/v1/images/generations", "gpt-image-2", "a lighthouse", "sk-test", 1)


def scenario_of(*steps: dict[str, Any]) -> Scenario:
    scenario = Scenario(MemoryStore())
    scenario.begin_document({"steps": [{"fault": "server_error", **step} for step in steps]})
    return scenario


def meet(scenario: Scenario, call: MatchInput = CALL) -> tuple[BaseFault | None, list[str]]:
    """The fault that a call meets, and its near misses as text."""
    call = call._replace(folded_prompt=call.prompt.casefold())
    finding = MemoryStore().run(scenario.claim(call))
    return finding.fault, [*map(str, finding.near_misses)]


def meets(scenario: Scenario, call: MatchInput = CALL, calls: int = 1) -> list[str]:
    """The labels of the faults that so many calls meet; of none it is empty."""
    return [fault.label if (fault := meet(scenario, call)[0]) else "" for _ in range(calls)]


def test_a_step_of_the_scenario_that_was_over_is_met_again_where_its_grant_is_revoked() -> None:
    scenario = scenario_of({"times": 1}, {"times": 2})
    first, second = scenario._steps.value.planned
    assert all(meets(scenario, calls=2))
    steps = scenario._steps.value
    assert [*steps.spent_steps()] == [first]
    assert steps.with_revived(first.id).live_planned == (first, second)
    assert steps.with_revived(second.id).live_planned == (second,)


def test_a_search_that_took_too_long_once_is_made_again_for_the_next_equal_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, slow = PromptPattern.matches, [True, False]

    def sometimes_slow(pattern: PromptPattern, prompt: str) -> bool:
        if slow and slow.pop(0):
            raise TimeoutError
        return search(pattern, prompt)

    monkeypatch.setattr(PromptPattern, "matches", sometimes_slow)
    scenario = scenario_of({"match": {"prompt_regex": "light"}})
    fault, near_misses = meet(scenario)
    assert fault is None
    assert near_misses == [
        "step 1 (server_error): the search for 'light' in the prompt takes more than 0.1 s"
    ]
    slow[:] = [True, True, True]
    assert meet(scenario)[1] == near_misses
    slow.clear()
    assert meets(scenario, calls=2) == ["server_error", "server_error"]


def test_a_search_that_failed_once_is_made_again_for_the_next_equal_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matches, errors = ScenarioStep.matches, [MemoryError()]

    def failing(step: ScenarioStep, call: MatchInput) -> bool:
        if errors:
            raise errors.pop()
        return matches(step, call)

    monkeypatch.setattr(ScenarioStep, "matches", failing)
    scenario = scenario_of({})
    with pytest.raises(MemoryError):
        meet(scenario)
    assert meets(scenario, calls=2) == ["server_error", "server_error"]


def test_a_scenario_is_at_its_start_until_a_step_is_injected_or_replaced() -> None:
    scenario = scenario_of({"times": 1})
    seen = [scenario.is_at_its_start]
    for change in (scenario.reset, lambda: meet(scenario), lambda: scenario.inject("timeout")):
        change()
        seen.append(scenario.is_at_its_start)
    assert seen == [False, True, True, False]


async def test_a_call_while_the_scenario_is_exchanged_counts_for_the_old_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = scenario_of({"times": 9})
    clear, during = scenario._counters.clear, []

    async def clear_after_a_call() -> None:
        during.append((await scenario.claim(CALL)).fault)
        await clear()

    monkeypatch.setattr(scenario._counters, "clear", clear_after_a_call)
    scenario.begin_document({"steps": [{"fault": "timeout", "times": 2}]})
    assert [fault and fault.label for fault in during] == ["server_error"]
    assert meets(scenario, calls=3) == ["timeout", "timeout", ""]


@pytest.mark.parametrize("changed", [False, True])
async def test_a_claim_with_the_entry_is_granted_unless_the_steps_change_meanwhile(
    changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = scenario_of({"times": 3})
    claim = scenario._counters.claim_if_fresh

    async def claim_late(*arguments: Any, **further: Any) -> Any:
        if changed:
            scenario.inject("server_error")
        return await claim(*arguments, **further)

    async def call() -> MatchInput:
        return CALL

    monkeypatch.setattr(scenario._counters, "claim_if_fresh", claim_late)
    finding = await scenario.claim_early(call)
    assert (finding and finding.fault and finding.fault.label) == (
        None if changed else "server_error"
    )
    steps = scenario.as_json()["steps"]
    assert sum(step["met"] for step in steps) == (0 if changed else 1)


def test_a_call_of_which_only_the_path_is_known_has_nothing_else_to_match() -> None:
    assert not any(MatchInput("/v1/models")[1:])


@pytest.mark.parametrize(
    ("match", "yes"),
    [
        ({}, True),
        ({"path": "/v1/images/generations"}, True),
        ({"path": "*/images/*"}, True),
        ({"path": "/v1/images/edits"}, False),
        ({"model": "gpt-image-2"}, True),
        ({"model": "gpt-image-[12]"}, True),
        ({"model": "gpt-image"}, False),
        ({"prompt": "light"}, True),
        ({"prompt": "Light"}, True),
        ({"api_key": "sk-test"}, True),
        ({"api_key": "sk-*"}, False),
        ({"retry_count": 1}, True),
        ({"retry_count": 0}, False),
        ({"model": "gpt-image-2", "prompt": "ship"}, False),
    ],
)
def test_a_step_is_for_the_calls_that_match(match: dict[str, Any], yes: bool) -> None:
    assert meets(scenario_of({"match": match})) == ["server_error" if yes else ""]


def test_a_step_meets_calls_as_often_as_it_says() -> None:
    assert meets(scenario_of({"times": 2}), calls=3) == ["server_error", "server_error", ""]


def test_a_step_lets_the_first_calls_that_match_pass() -> None:
    scenario = scenario_of({"after": 2, "times": 1, "match": {"prompt": "house"}})
    assert meets(scenario, CALL._replace(prompt="a ship"), calls=3) == [""] * 3
    assert meets(scenario, calls=4) == ["", "", "server_error", ""]


def test_probability_is_reproducible_by_its_seed() -> None:
    step = {"probability": 0.5, "seed": 7}
    first, again = (meets(scenario_of(step), calls=100) for _ in range(2))
    assert first == again
    assert 20 < first.count("server_error") < 80
    # The same in every release: a scenario in a repository meets the calls that it met.
    assert [bool(label) for label in first[:12]] == [
        *map(bool, (0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1))
    ]
    assert meets(scenario_of(step | {"seed": 8}), calls=100) != first
    assert "server_error" not in meets(scenario_of({"probability": 0}), calls=100)


def test_the_first_step_that_accepts_a_call_wins() -> None:
    scenario = scenario_of({"fault": "slow_down", "times": 1}, {"fault": "timeout"})
    assert meets(scenario, calls=3) == ["slow_down", "timeout", "timeout"]


def test_injected_steps_go_before_the_scenario_in_their_order() -> None:
    scenario = scenario_of({"fault": "timeout"})
    scenario.inject("slow_down", times=2)
    scenario.inject({"kind": "error", "status": 418})
    assert meets(scenario, calls=4) == ["slow_down", "slow_down", "error", "timeout"]


def test_an_injected_step_goes_when_it_has_met_its_calls() -> None:
    scenario = scenario_of({"times": 1})
    scenario.clear()
    scenario.inject("timeout", times=2, match={"prompt": "house"})
    scenario.inject("slow_down", match={"prompt": "ship"})
    assert meets(scenario, calls=2) == ["timeout", "timeout"]
    shown = scenario.as_json()["steps"]
    assert [(step["title"], step["met"], step["spent"]) for step in shown] == [
        ("injected (slow_down)", 0, False),
        ("injected (timeout)", 2, True),
    ]
    assert meet(scenario)[1] == ["injected (slow_down): the prompt does not have 'ship'"]
    assert meets(scenario, CALL._replace(prompt="a ship")) == ["slow_down"]
    assert not scenario
    assert meet(scenario) == (None, [])


def test_exhausted_injected_steps_are_no_near_misses() -> None:
    scenario = scenario_of({"match": {"model": "gpt-image-1"}})
    for _ in range(2 * MAX_NEAR_MISSES):
        scenario.inject("timeout")
    miss = "step 1 (server_error): model 'gpt-image-2' is not 'gpt-image-1'"
    assert meet(scenario, CALL._replace(path="/v1/files"))[0]
    assert meets(scenario, calls=2 * MAX_NEAR_MISSES - 1) == ["timeout"] * (2 * MAX_NEAR_MISSES - 1)
    assert meet(scenario)[1] == [miss]
    assert meet(scenario)[1] == [miss]


def test_the_last_spent_injected_steps_are_listed_until_they_are_removed() -> None:
    scenario = scenario_of()
    for number in range(MAX_SPENT_STEPS + 1):
        scenario.inject({"kind": "error", "status": 400 + number})
        meet(scenario)
    shown = scenario.as_json()["steps"]
    statuses = [step["fault"]["status"] for step in shown]
    assert statuses == [401 + number for number in range(MAX_SPENT_STEPS)]
    scenario.remove(shown[0]["id"])
    assert scenario.as_json()["steps"] == shown[1:]
    scenario.reset()
    assert scenario.as_json()["steps"] == []


def test_a_scenario_has_faults_while_a_step_is_open() -> None:
    """Its own steps are open until they are removed, injected ones until they are spent."""
    scenario = scenario_of({"times": 1})
    scenario.inject("timeout")
    seen = [scenario.has_faults]
    for _ in range(2):
        meet(scenario)
    planned, spent = scenario.as_json()["steps"]
    seen.append(scenario.has_faults)
    scenario.remove(spent["id"])
    seen.append(scenario.has_faults)
    scenario.remove(planned["id"])
    seen.append(scenario.has_faults)
    assert seen == [True, True, True, False]
    scenario.inject("timeout")
    assert scenario.has_faults
    assert not scenario.has_answers


def test_a_removed_step_meets_no_call_until_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    path.write_text('{"steps": [{"fault": "slow_down"}, {"fault": "server_error"}]}')
    scenario = Scenario(MemoryStore(), read_scenario(str(path)).steps)
    scenario.inject("timeout", times=None)
    for label in ("timeout", "slow_down", "server_error"):
        assert meets(scenario) == [label]
        scenario.remove(scenario.as_json()["steps"][0]["id"])
    assert not scenario
    with pytest.raises(KeyError):
        scenario.remove("nothing")
    scenario.reset()
    assert meets(scenario) == ["slow_down"]


def test_a_thousand_injected_steps_are_met_in_their_order() -> None:
    scenario = scenario_of()
    for number in range(1_000):
        scenario.inject({"kind": "error", "status": 400 + number % 100})
    faults = [meet(scenario)[0] for _ in range(1_000)]
    assert [getattr(fault, "status", None) for fault in faults] == [
        400 + number % 100 for number in range(1_000)
    ]
    assert not scenario


def test_near_misses_of_the_same_call_change_with_the_calls_before_it() -> None:
    scenario = scenario_of({"after": 1, "probability": 0})
    misses = [meet(scenario)[1] for _ in range(3)]
    assert misses == [
        ["step 1 (server_error): lets the first 1 pass"],
        ["step 1 (server_error): was left to chance"],
        ["step 1 (server_error): was left to chance"],
    ]


def test_a_scenario_remembers_few_calls() -> None:
    scenario = scenario_of({"match": {"prompt": "no such thing"}})
    sizes = []
    for number in range(3 * MAX_CACHED_SCANS):
        assert meet(scenario, CALL._replace(prompt=f"{number}"))[1]
        _, scans = scenario._scans._scans
        sizes.append(len(scans))
    assert max(sizes) == MAX_CACHED_SCANS


def test_another_scenario_counts_anew() -> None:
    store = MemoryStore()
    scenario = Scenario(store)
    scenario.begin_document({"steps": [{"fault": "timeout"}]})
    assert meets(scenario) == ["timeout"]
    step_ids = [step.id for step in scenario._steps.value.planned]
    counters = store.counters("scenario")
    assert store.run(counters.counts(step_ids)) == [ClaimCount(1, 1)]
    scenario.reset()
    assert store.run(counters.counts(step_ids)) == [ClaimCount()]


def test_long_prompts_and_keys_are_not_remembered() -> None:
    scenario = scenario_of({"match": {"prompt": "no such thing"}}, {"match": {"model": "none"}})
    for number in range(5):
        facts = CALL._replace(prompt=f"{number}" * 100_000, api_key=f"{number}" * 100_000)
        assert meet(scenario, facts)[1]
        assert meet(scenario, CALL._replace(prompt=f"{number}" * 100_000))[1]
    _, scans = scenario._scans._scans
    assert scans == {}


def test_reset_begins_the_scenario_of_the_settings_again(tmp_path: Path) -> None:
    path = tmp_path / "once.json"
    path.write_text('{"steps": [{"fault": "slow_down", "times": 1}]}')
    scenario = Scenario(MemoryStore(), read_scenario(str(path)).steps)
    scenario.inject("timeout", times=None)
    assert meets(scenario, calls=2) == ["timeout"] * 2
    scenario.reset()
    assert meets(scenario, calls=2) == ["slow_down", ""]
    scenario.clear()
    assert not scenario
    scenario.reset()
    assert meets(scenario) == ["slow_down"]


def test_near_misses_say_why_a_call_met_no_step() -> None:
    scenario = scenario_of(
        {"match": {"model": "gpt-image-1"}},
        {"match": {"prompt": "ship"}},
        {"match": {"api_key": "sk-proj-0123456789abcd"}},
        {"times": 1},
        {"after": 5},
        {"probability": 0},
    )
    assert meets(scenario) == ["server_error"]
    assert meet(scenario)[1] == [
        "step 1 (server_error): model 'gpt-image-2' is not 'gpt-image-1'",
        "step 2 (server_error): the prompt does not have 'ship'",
        "step 3 (server_error): api_key 'sk-test' is not 'sk-proj-**********abcd'",
        "step 4 (server_error): has met its 1 calls",
        "step 5 (server_error): lets the first 5 pass",
        "step 6 (server_error): was left to chance",
    ]


@pytest.mark.parametrize(
    ("step", "call", "kind", "spent"),
    [
        ({"match": {"model": "gpt-image-1"}}, CALL, "model", False),
        ({"match": {"prompt": "ship"}}, CALL, "prompt", False),
        ({"match": {"path": "/v1/images/edits"}}, CALL, "path", False),
        ({"match": {"api_key": "sk-other"}}, CALL, "api_key", False),
        ({"match": {"retry_count": 3}}, CALL, "retry_count", False),
        ({"after": 5}, CALL, "after", False),
        ({"probability": 0}, CALL, "chance", False),
        ({"times": 1}, CALL, "spent", True),
        ({"times": 1}, CALL._replace(is_download=True), "target", True),
        ({"fault": "expired"}, CALL, "target", False),
        ({"fault": "stream_cut"}, CALL, "target", False),
        ({"fault": "fewer_partials"}, CALL, "target", False),
        ({"fault": "stall"}, CALL._replace(is_download=True), "target", False),
        (
            {"fault": "stall", "match": {"path": "*"}},
            CALL._replace(is_download=True),
            "target",
            False,
        ),
        ({"fault": "stall", "after": 1}, CALL._replace(asks_for_stream=True), "after", False),
    ],
)
def test_a_near_miss_has_step_kind_and_whether_it_is_spent(
    step: dict[str, Any], call: MatchInput, kind: str, *, spent: bool
) -> None:
    scenario = scenario_of({"fault": "slow_down", **step})
    if spent:
        assert meets(scenario) == ["slow_down"]
    (miss,) = MemoryStore().run(scenario.claim(call)).near_misses
    assert (miss.kind, miss.spent) == (kind, spent)
    assert (miss.name, miss.label) == ("step 1", step.get("fault", "slow_down"))
    assert miss.step == scenario._steps.value.planned[0].id
    assert str(miss) == f"step 1 ({miss.label}): {miss.reason}"


@pytest.mark.parametrize("kind", ["stream_cut", "stream_error", "stall", "unknown_event"])
def test_a_fault_for_streams_waits_for_a_call_that_asks_for_one(kind: str) -> None:
    scenario = scenario_of()
    scenario.inject(kind)
    misses = [f"injected ({kind}): is for streams, and the call asks for none"]
    assert [meet(scenario), meet(scenario)] == [(None, misses)] * 2
    assert meets(scenario, CALL._replace(asks_for_stream=True), calls=2) == [kind, ""]


@pytest.mark.parametrize("form", [False, True])
def test_an_injected_stream_cut_spares_calls_without_stream(
    server: Server, http: httpx2.Client, *, form: bool
) -> None:
    server.inject("stream_cut", after=0)

    def send(**fields: str | bool) -> None:
        fields = {"model": "gpt-image-2", "prompt": "a lighthouse", **fields}
        if not form:
            http.post("/images/generations", json=fields)
            return
        http.post("/images/edits", data=fields, files={"image": ("a.png", png(), "image/png")})

    send(stream="false" if form else False)
    http.get("/models")
    with pytest.raises(httpx2.RemoteProtocolError):
        send(stream="true" if form else True)
    assert [call.fault for call in server.requests] == [None, None, "stream_cut"]


def test_a_header_gives_its_fault_for_streams_to_any_call(client: OpenAI, server: Server) -> None:
    header = {"x-emulator-fault": "stream_cut"}
    client.images.generate(model="gpt-image-2", prompt="x", extra_headers=header)
    assert [call.fault for call in server.requests] == ["stream_cut"]


def test_inject_takes_the_settings_of_a_fault_by_keyword() -> None:
    scenario = scenario_of()
    scenario.inject("latency", seconds=2, times=3)
    scenario.inject({"kind": "rate_limit_exceeded", "retry_after": 1}, retry_after_ms=5)
    first, second = scenario.as_json()["steps"]
    assert (first["fault"], first["times"]) == ({"kind": "latency", "seconds": 2}, 3)
    assert second["fault"].items() >= {"retry_after": 1, "retry_after_ms": 5}.items()
    with pytest.raises(ValueError, match="latency: unknown key 'second'"):
        scenario.inject("latency", second=2)


@pytest.mark.slow
def test_ten_thousand_steps_are_met_one_by_one_and_then_cost_nothing() -> None:
    scenario = scenario_of(*({"times": 1} for _ in range(10_000)))
    assert meets(scenario, calls=10_001) == ["server_error"] * 10_000 + [""]
    assert not scenario._steps.value.live_planned
    assert len(meet(scenario)[1]) == MAX_NEAR_MISSES


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["cat 7, please", "cat 7" + " and a dog" * 5_000])
def test_a_prompt_finds_its_steps_among_two_thousand_in_their_order(prompt: str) -> None:
    scenario = scenario_of(
        {"fault": "timeout", "match": {"prompt": "7"}, "times": 1},
        *({"match": {"prompt": f"cat {number},"}} for number in range(1_000)),
        {"fault": "slow_down", "match": {"prompt": "cat"}, "times": 1},
        *({"fault": "latency", "match": {"prompt": f"at {number} "}} for number in range(1_000)),
        {"fault": "truncated", "times": 1},
    )
    expected = ["server_error"] * 2 if "," in prompt else ["slow_down", "latency"]
    assert meets(scenario, CALL._replace(prompt=prompt), calls=3) == ["timeout", *expected]
    assert meets(scenario, CALL._replace(prompt="ship"), calls=2) == ["truncated", ""]


@pytest.mark.slow
def test_threads_may_inject_while_others_call() -> None:
    scenario = Scenario(MemoryStore())

    def both(_: int) -> int:
        scenario.inject("server_error", times=2)
        return meets(scenario, calls=3).count("server_error")

    with ThreadPoolExecutor(8) as pool:
        met = sum(pool.map(both, range(400)))
    assert met + meets(scenario, calls=800).count("server_error") == 800


@pytest.mark.parametrize("path", READY, ids=lambda path: str(path.stem))
def test_a_bundled_scenario_is_valid(path: Path) -> None:
    assert path.read_text().startswith("# ")
    steps = read_scenario(str(path)).steps
    scenario = Scenario(MemoryStore(), read_scenario(str(path)).steps)
    shown = scenario.as_json()["steps"]
    assert [step["met"] for step in shown] == [0] * len(steps)
    written = ("fault", "match", "times", "after", "probability", "seed")
    scenario.begin_document({"steps": [{name: step[name] for name in written} for step in shown]})
    ids = [step.pop("id") for step in shown]
    again = scenario.as_json()["steps"]
    assert not {step.pop("id") for step in again} & {*ids}
    assert again == shown


@pytest.mark.slow
def test_the_scenario_setting_loads_a_file() -> None:
    path = str(ready_scenarios()["rate-limit-then-ok"])
    with (
        Server(Settings(port=0, scenario=path)) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        for _ in range(2):
            # Two requests are refused, and the SDK's third is answered.
            assert client.images.generate(model="gpt-image-2", prompt="x").data
            assert [step["met"] for step in server.emulator.scenario.as_json()["steps"]] == [2]
            server.emulator.reset()


def test_the_moderation_scenario_looks_at_prompts() -> None:
    path = str(ready_scenarios()["moderation"])
    with (
        Server(Settings(port=0, scenario=path)) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        stages = {}
        for word in ("fine", "forbidden", "risky"):
            try:
                client.images.generate(model="gpt-image-2", prompt=f"something {word}")
            except openai.BadRequestError as error:
                body: Any = error.body
                stages[word] = body["moderation_details"]["moderation_stage"]
    assert stages == {"forbidden": "input", "risky": "output"}


# --- mistakes, by file and line

BAD = {
    "bad.toml": (
        '[[steps]]\nfault = "timeouts"\n\n[[steps]]\nfault = { kind = "latency", secs = 2 }\n'
        'match = { paths = "x" }\n\n[[steps]]\nprobability = 2\n[steps.fault]\nkind = "stall"\n'
        "after = -1\n",
        {
            2: "step 1: fault: there is no fault 'timeouts'; 'timeout' is probably meant; `",
            5: "step 2: fault: latency: unknown key 'secs'; 'seconds' is probably meant; it",
            6: "step 2: match: unknown key 'paths'; 'path' is probably meant; it takes path",
            9: "step 3: probability: input should be less than or equal to 1, not 2",
            12: "step 3: fault: stall: after: input should be greater than or equal to 0, not -1",
        },
    ),
    "bad.json": (
        '{\n "steps": [\n  {"fault": "timeout"},\n  {\n   "times": "2",\n'
        '   "fault": {"kind": "malformed",\n    "what": "all"}\n  }\n ]\n}',
        {
            5: "step 2: times: input should be a valid integer, not '2'",
            7: "step 2: fault: malformed: what: input should be 'json', 'base64' or 'picture'",
        },
    ),
    "several.toml": (
        '[[steps]]\nafer = 1\ntims = 2\nafter = -1\n[steps.fault]\nkind = "latency"\nsecs = 2\n'
        "jitter = -1\n",
        {
            2: "step 1: unknown key 'afer'; 'after' is probably meant; it takes fault, answer",
            3: "step 1: unknown key 'tims'; 'times' is probably meant",
            4: "step 1: after: input should be greater than or equal to 0, not -1",
            7: "step 1: fault: latency: unknown key 'secs'",
            8: "step 1: fault: latency: jitter: input should be greater than or equal to 0",
        },
    ),
    "flat.toml": (
        '[[steps]]\nfault = "latency"\nseconds = 2\n',
        {
            3: "step 1: unknown key 'seconds' of a step; it is a setting of the fault: "
            '{"fault": {"kind": "latency", "seconds": 2}}',
        },
    ),
    "key.toml": (
        "\nstep = 1\n",
        {2: "unknown key 'step'; 'steps' is probably meant; it takes steps"},
    ),
    "empty.toml": ("", {1: "steps: is missing"}),
    "fault.toml": (
        "[[steps]]\n[[steps]]\ntimes = 1",
        {1: "step 1: a step has a 'fault' or an 'answer', and this one has neither"},
    ),
    "list.json": ("[]", {1: "this is no mapping of keys to values"}),
    "steps.json": ('{"steps": 1}', {1: "steps: input should be a valid list, not 1"}),
    "syntax.toml": ("a = 1\n[[steps]\n", {2: "Expected ']]'"}),
    "syntax.json": ('{"steps": [\n{"fault" 1}]}', {2: "Expecting ':' delimiter"}),
}


def checked(path: Path) -> CompletedProcess[str]:
    return run_command("scenario", "check", str(path))


@pytest.mark.parametrize("name", BAD)
def test_scenario_check_prints_the_line_of_a_mistake(name: str, tmp_path: Path) -> None:
    text, mistakes = BAD[name]
    path = tmp_path / name
    path.write_text(text)
    done = checked(path)
    assert done.returncode == 1
    assert done.stdout == ""
    for line, words in mistakes.items():
        assert f"{path}:{line}: {words}" in done.stderr


def test_scenario_check_refuses_a_missing_and_a_binary_file(tmp_path: Path) -> None:
    missing, picture = tmp_path / "no.toml", tmp_path / "a.toml"
    picture.write_bytes(b"\x89PNG\xff")
    assert checked(missing).stderr == f"{missing}: No such file or directory\n"
    assert checked(picture).stderr == f"{picture}:1: this is no UTF-8 text\n"
    served = run_command("serve", "--scenario", str(missing))
    assert served.returncode == 2
    assert f"{missing}: No such file or directory" in served.stderr


def test_scenario_check_counts_the_steps_of_a_valid_file() -> None:
    done = checked(READY[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{re.escape(str(READY[0]))}: \d+ steps?\n", done.stdout)


# --- for one call

MISTAKE = "'no_such'; `images-emulator faults` lists them"


def test_x_emulator_fault_injects_a_fault_into_one_call(client: OpenAI) -> None:
    parameters: dict[str, Any] = {"model": "gpt-image-2", "prompt": "x"}
    with pytest.raises(openai.RateLimitError):
        client.images.generate(
            **parameters, extra_headers={"x-emulator-fault": "insufficient_quota"}
        )
    assert client.images.generate(**parameters).data
    with pytest.raises(openai.BadRequestError, match=MISTAKE) as refused:
        client.images.generate(**parameters, extra_headers={"x-emulator-fault": "no_such"})
    assert (refused.value.code, refused.value.param) == ("invalid_header", "x-emulator-fault")


def test_x_emulator_fault_works_on_any_path(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        client.models.list(extra_headers={"x-emulator-fault": "server_error"})


@pytest.mark.parametrize(
    "prompt",
    [
        "a lighthouse [[emulator: latency seconds=0]]",
        "[[emulator:latency;seconds=0]] a lighthouse",
        "a [[emulator: latency seconds=0 ]] lighthouse [[emulator: timeout]]",
    ],
)
def test_a_directive_is_neither_drawn_nor_counted(client: OpenAI, prompt: str) -> None:
    plain, directed = (
        client.images.generate(model="gpt-image-2", prompt=text)
        for text in ("a lighthouse", prompt)
    )
    assert plain.usage == directed.usage
    assert (plain.data or [])[0].b64_json == (directed.data or [])[0].b64_json


def test_a_directive_in_the_prompt_injects_a_fault_into_one_call(client: OpenAI) -> None:
    directive = "x [[emulator: moderation_blocked stage=output categories=sexual,violence]]"
    with pytest.raises(openai.BadRequestError, match=r"safety_violations=\[sexual, violence\]"):
        client.images.generate(model="gpt-image-2", prompt=directive)
    revised = client.images.generate(model="dall-e-3", prompt="x [[emulator: latency seconds=0]]")
    assert str((revised.data or [])[0].revised_prompt).endswith(": x")
    with pytest.raises(openai.BadRequestError, match=MISTAKE) as refused:
        client.images.generate(model="gpt-image-2", prompt="x [[emulator: no_such]]")
    assert (refused.value.code, refused.value.param) == ("invalid_directive", "prompt")


def test_a_directive_works_in_forms(http: httpx2.Client) -> None:
    form = {"model": "gpt-image-2", "prompt": "x [[emulator: slow_down]]"}
    answer = http.post("/v1/images/edits", files={name: (None, form[name]) for name in form})
    assert answer.json()["error"]["code"] == "slow_down"


@pytest.mark.slow
@pytest.mark.parametrize("unit", [" ", "[[emulator:", "[[emulator: x] "])
def test_a_long_prompt_that_has_almost_directives_is_soon_read(
    http: httpx2.Client, unit: str
) -> None:
    body = {"model": "gpt-image-2", "prompt": f"[[emulator: {unit * 500_000}"}
    answer = http.post("/v1/images/generations", json=body)
    assert answer.json()["error"]["code"] == "string_above_max_length"


@pytest.mark.parametrize("seam", range(1, 11))
async def test_a_directive_is_found_where_chunks_meet(seam: int) -> None:
    body = json.dumps({"model": "gpt-image-2", "prompt": "x [[emulator: slow_down]]"}).encode()
    place = body.index(b"[[") + seam

    start, *_ = await messages_for(body[:place], body[place:])
    assert start["status"] == 429


async def test_connection_reset_in_process_raises_an_exception() -> None:
    emulator = Emulator()
    transport = httpx2.ASGITransport(create_app(emulator))
    async with httpx2.AsyncClient(transport=transport, base_url="http://emulator") as client:
        for fault in ("connection_reset", "truncated"):
            emulator.scenario.inject(fault)
            with pytest.raises(ConnectionResetError):
                await client.get("/v1/models", headers={"Authorization": "Bearer x"})


def test_faults_on_azure_have_its_error_form(server: Server, http: httpx2.Client) -> None:
    server.inject("rate_limit_exceeded")
    answer = http.post(
        "/openai/v1/images/generations", json={"prompt": "x", "model": "gpt-image-2"}
    )
    assert list(answer.json()["error"]) == ["code", "message"]
    assert answer.headers["retry-after-ms"] == "100"


def test_a_step_may_match_the_retry_count(server: Server) -> None:
    server.inject({"kind": "error", "name": "server_error", "retry_after_ms": 1},
                  times=None, match={"retry_count": 0})  # fmt: skip
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=1) as client:
        assert client.images.generate(model="gpt-image-2", prompt="x").data


def test_malformed_calls_meet_faults(server: Server, http: httpx2.Client) -> None:
    bodies: list[Any] = [{"model": ["x"], "n": {}}, [], "x", {"model": None, "prompt": 7}]
    for body in bodies:
        server.inject("rate_limit_exceeded", match={"retry_count": 0})
        headers = {"x-stainless-retry-count": "9" * 5_000}
        assert http.post("/v1/images/generations", json=body, headers=headers).status_code == 429


@pytest.mark.parametrize("fault", ["malformed;what=base64", "empty_data", "fewer_images"])
def test_faults_of_images_leave_other_answers_as_they_are(http: httpx2.Client, fault: str) -> None:
    file = http.post(
        "/v1/files", data={"purpose": "vision"}, files={"file": ("a.png", png(), "image/png")}
    ).json()
    for path in ("/v1/models", f"/v1/files/{file['id']}/content", "/v1/nothing"):
        plain = http.get(path)
        spoilt = http.get(path, headers={"x-emulator-fault": fault})
        assert (spoilt.status_code, spoilt.content) == (plain.status_code, plain.content)


# --- the admin API


def test_the_admin_api_replaces_shows_and_clears_a_scenario(http: httpx2.Client) -> None:
    step = {"fault": {"kind": "stream_cut", "after": 2}, "match": {"prompt": "x"}, "times": 3}
    shown = http.put("/_emulator/scenario", json={"steps": [step, {"fault": "timeout"}]})
    assert shown.status_code == 200
    assert shown.json() == http.get("/_emulator/scenario").json()
    cut, timeout = shown.json()["steps"]
    assert cut.pop("id") != timeout["id"]
    assert cut == step | {
        "answer": None,
        "name": "step 1",
        "title": "step 1 (stream_cut)",
        "injected": False,
        "after": 0,
        "probability": 1.0,
        "seed": 0,
        "met": 0,
        "spent": False,
    }
    assert (timeout["fault"], timeout["match"], timeout["times"]) == ({"kind": "timeout"}, {}, None)
    assert http.delete("/_emulator/scenario").json() == {"steps": []}


MISPLACED = {
    '{"fault": "slow_down", "retry_after_ms": 1}': (
        '{"fault": {"kind": "slow_down", "retry_after_ms": 1}}'
    ),
    '{"fault": {"kind": "latency", "seconds": 3}, "jitter": 2}': (
        '{"fault": {"kind": "latency", "seconds": 3, "jitter": 2}}'
    ),
    '{"fault": "stream_cut", "reset": true, "after": 1}': (
        '{"fault": {"kind": "stream_cut", "reset": true}}'
    ),
}
"""Steps with settings of the fault beside it, and the fault with those that are no keys of a
step."""


@pytest.mark.parametrize("document", MISPLACED.values())
def test_a_step_with_its_settings_in_the_fault_has_them(http: httpx2.Client, document: str) -> None:
    (step,) = http.post("/_emulator/inject", content=document).json()["steps"]
    fault = json.loads(document)["fault"]
    kind = fault.pop("kind")
    assert kind in (step["fault"]["kind"], step["fault"].get("name"))
    assert fault.items() <= step["fault"].items()


def test_the_admin_api_injects_a_fault(http: httpx2.Client, client: OpenAI) -> None:
    match = {"path": "*/generations"}
    shown = http.post("/_emulator/inject", json={"fault": "slow_down", "times": 2, "match": match})
    fault = {"kind": "error", "name": "slow_down"}
    (step,) = shown.json()["steps"]
    assert (step["fault"], step["match"], step["times"]) == (fault, match, 2)
    assert (step["name"], step["injected"], step["spent"]) == ("injected", True, False)
    assert shown.json()["injected"] == step["id"]
    assert client.models.list().data
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            client.images.generate(model="gpt-image-2", prompt="x")
    assert client.images.generate(model="gpt-image-2", prompt="x").data


def test_the_admin_api_injects_a_fault_once_by_default(http: httpx2.Client) -> None:
    http.post("/_emulator/inject", json={"fault": {"kind": "error", "status": 418}})
    assert [http.get("/v1/models").status_code for _ in range(2)] == [418, 200]


def test_the_admin_api_removes_one_step(http: httpx2.Client) -> None:
    http.put("/_emulator/scenario", json={"steps": [{"fault": "server_error"}]})
    shown = http.post("/_emulator/inject", json={"fault": {"kind": "error", "status": 418}})
    injected, planned = shown.json()["steps"]
    path = f"/_emulator/scenario/steps/{shown.json()['injected']}"
    assert path.endswith(injected["id"])
    assert http.delete(path).json() == {"steps": [planned]}
    assert http.get("/v1/models").status_code == 500
    assert error_of(http.delete(path), 404)["code"] == "not_found"


@pytest.mark.parametrize("step", [{"fault": "slow_down"}, {"answer": {"usage": {}}}])
def test_the_answer_to_an_injection_names_the_new_step(
    http: httpx2.Client, step: dict[str, Any]
) -> None:
    """Not always the last: an answer goes before those for any number of calls."""
    other = http.post("/_emulator/inject", json=step).json()
    shown = http.post("/_emulator/inject", json={**step, "times": 7}).json()
    (new,) = (each for each in shown["steps"] if each["id"] == shown["injected"])
    assert new["times"] == 7
    assert other["injected"] in [each["id"] for each in shown["steps"] if each is not new]
    assert shown["steps"] == http.get("/_emulator/scenario").json()["steps"]


def test_the_openapi_document_has_the_id_of_an_injected_step(http: httpx2.Client) -> None:
    document = http.get("/_emulator/openapi.json").json()
    answer = document["paths"]["/_emulator/inject"]["post"]["responses"]["200"]
    name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    assert sorted(schema["required"]) == ["injected", "steps"]
    assert schema["properties"]["injected"]["type"] == "string"


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_steps_of_ready_scenarios_for_some_paths_are_for_no_downloads(path: Path) -> None:
    patterns = [step.match.path for step in read_scenario(str(path)).steps if step.match.path]
    for pattern in patterns:
        assert not fnmatchcase("/private/images/0f-1/generated_00.png", pattern)
        assert not fnmatchcase("/private/org-x/user-y/img-z.png", pattern)
        for operation in IMAGE_OPERATIONS.values():
            assert fnmatchcase(operation.path, pattern)
            assert fnmatchcase(f"/openai/deployments/x{operation.subpath}", pattern)


def test_the_admin_api_lists_and_gives_the_ready_scenarios(http: httpx2.Client) -> None:
    listed = http.get("/_emulator/scenarios").json()["scenarios"]
    assert [each["name"] for each in listed] == [*ready_scenarios()]
    (outage,) = (each for each in listed if each["name"] == "outage")
    assert outage["summary"].startswith("Nothing works: some connections are reset, some calls")
    document = http.get("/_emulator/scenarios/outage").json()
    assert len(document["steps"]) == outage["steps"] == 4
    assert len(http.put("/_emulator/scenario", json=document).json()["steps"]) == 4
    for name in ("nothing", "..%2Foutage", "outage.toml"):
        error = error_of(http.get(f"/_emulator/scenarios/{name}"), 404)
        assert error["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "inject", b'{"fault": "no_such"}', MISTAKE),
        ("POST", "inject", b"{}", "a step has a 'fault' or an 'answer', and this one has neither"),
        ("POST", "inject", b'{"fault": "timeout", "tims": 2}', "unknown key 'tims'; 'times' is"),
        ("POST", "inject", b'{"fault": "timeout", "times": 0}', "greater than or equal to 1"),
        *(
            ("POST", "inject", flat.encode(), f"of the fault: {nested}")
            for flat, nested in MISPLACED.items()
        ),
        (
            *("POST", "inject", b'{"fault": "slow_down", "name": "x"}'),
            "unknown key 'name'; it takes fault, answer",
        ),
        ("POST", "inject", b'{"fault": [], "seconds": 1}', "unknown key 'seconds'; it takes fault"),
        ("POST", "inject", b"[]", "expected an object"),
        ("PUT", "scenario", b'{"steps": [{"fault": "no_such"}]}', "step 1: fault: there is no "),
        ("PUT", "scenario", b"no", "not valid JSON"),
    ],
)
def test_an_invalid_scenario_or_step_changes_nothing(
    http: httpx2.Client, method: str, path: str, body: bytes, words: str
) -> None:
    http.post("/_emulator/inject", json={"fault": "timeout"})
    answer = http.request(method, f"/_emulator/{path}", content=body)
    assert answer.status_code == 400
    assert words in answer.text.replace('\\"', '"')
    assert len(http.get("/_emulator/scenario").json()["steps"]) == 1


def test_threads_search_for_equal_calls_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario(MemoryStore())
    scenario.inject("server_error")
    scan = scenario._scans.scan_of(scenario._steps.value, CALL)
    matches, is_asked, goes_on = ScenarioStep.matches, Event(), Event()

    def slow_matches(step: ScenarioStep, values: MatchInput) -> bool:
        is_asked.set()
        assert goes_on.wait(30)
        return matches(step, values)

    monkeypatch.setattr(ScenarioStep, "matches", slow_matches)
    with ThreadPoolExecutor(2) as pool:
        searches = [pool.submit(lambda: len([*scan.matching()])) for _ in range(2)]
        assert is_asked.wait(30)
        # The second one waits for the first.
        until(scan._lock.locked)
        goes_on.set()
        assert [search.result(30) for search in searches] == [1, 1]

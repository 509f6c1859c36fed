"""Claims of a store in Redis: each counts once, also where it is sent again or revoked."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from images_emulator.state.match_keys import MatchInput
from images_emulator.state.scenario import Scenario
from images_emulator.state.scenario_step import ScenarioStep
from images_emulator.state.store import ClaimCount, ClaimOutcome, StaleRegistersError
from images_emulator.step_documents.scenario_document import parse_step
from tests.redis_server import missing_part, new_store_name, shared_redis
from tests.stores import NUMBER, log_of

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

CALL: Final = MatchInput("/v1/models")


async def test_a_claim_is_refused_where_another_process_has_changed_a_register() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    name = new_store_name()
    one, other = (RedisStore(shared_redis().url, name) for _ in range(2))
    registers = await asyncio.to_thread(
        lambda: [store.register("number", 0, NUMBER) for store in (one, other)]
    )
    step = ScenarioStep(parse_step({"fault": "server_error"}), "document", "step", "key")
    counters = one.counters("steps")
    assert (await counters.claim_if_fresh(lambda: True, [step])).granted
    await registers[1].update(lambda number: number + 1)
    with pytest.raises(StaleRegistersError):
        await counters.claim_if_fresh(lambda: True, [step])
    assert registers[0].value == 0
    assert await log_of(one).append("key", 1, 1) == 1  # which refreshes, too
    assert registers[0].value == 1
    assert (await counters.claim_if_fresh(lambda: True, [step])).granted == (step, ClaimCount(2, 2))
    for store in (one, other):
        await store.disconnect()
        await asyncio.to_thread(store.close)


@pytest.mark.parametrize("times", [1, None])
async def test_a_claim_that_a_cluster_sends_again_counts_once_and_has_its_outcome(
    times: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    counters_module = "images_emulator.state.redis.redis_counters"
    monkeypatch.setattr(f"{counters_module}.random_digits", iter("1122").__next__)
    store = RedisStore(shared_redis().url, new_store_name())
    counters = store.counters("steps")
    late, step = (
        ScenarioStep(parse_step({"fault": "timeout", **fields}), "document", "step", key)
        for key, fields in (("a", {"after": 3}), ("b", {"times": times}))
    )
    claims = [await counters.claim([late, step], ["c"]) for _ in range(2)]
    assert claims == 2 * [ClaimOutcome((step, ClaimCount(1, 1)))]
    assert await counters.counts("ab") == [ClaimCount(1), ClaimCount(1, 1)]
    claims = [await counters.claim([late], ["b", "c"]) for _ in range(2)]
    assert claims == 2 * [ClaimOutcome(None, [ClaimCount(1, 1), ClaimCount()])]
    assert await counters.counts("ab") == [ClaimCount(2), ClaimCount(1, 1)]
    await store.disconnect()


async def test_revoking_a_claim_whose_count_was_dropped_lowers_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis.redis_counters import RedisCounters  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    counters_module = "images_emulator.state.redis.redis_counters"
    monkeypatch.setattr(f"{counters_module}.MAX_COUNTS", 2)
    monkeypatch.setattr(f"{counters_module}.random_digits", iter("1234567").__next__)
    store = RedisStore(shared_redis().url, new_store_name())
    revoked: list[str] = []

    async def note(key: str) -> None:
        revoked.append(key)

    counters = store.counters("steps", note)
    assert isinstance(counters, RedisCounters)
    first, second, third, late = (
        ScenarioStep(parse_step({"fault": "timeout", "after": after}), "document", "step", key)
        for key, after in (("a", 1), ("b", 0), ("c", 0), ("c", 9))
    )
    assert (await counters.claim([first, second])).granted == (second, ClaimCount(1, 1))
    assert (await counters.claim([first])).granted == (first, ClaimCount(2, 1))
    assert (await counters.claim([third])).granted == (third, ClaimCount(1, 1))
    assert await counters.counts("abc") == [ClaimCount(2, 1), ClaimCount(), ClaimCount(1, 1)]
    counters._to_revoke = ["1"]
    await counters._revoke()
    assert await counters.counts("abc") == [ClaimCount(1, 1), ClaimCount(), ClaimCount(1, 1)]
    assert revoked == ["b"]
    await counters.claim([third])
    # It begins anew.
    await counters.claim([second])
    await counters.claim([first])
    await counters.claim([late])
    assert await counters.counts("c") == [ClaimCount(1, 0)]
    counters._to_revoke = ["3", "4"]
    await counters._revoke()
    assert await counters.counts("c") == [ClaimCount()]
    await store.disconnect()


async def test_a_step_that_was_over_is_met_again_by_the_grant_that_was_revoked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis.redis_counters import RedisCounters  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    name = new_store_name()
    stores = [RedisStore(shared_redis().url, name) for _ in range(2)]
    one, other = await asyncio.to_thread(lambda: [Scenario(store) for store in stores])
    await asyncio.to_thread(one.inject, "server_error", times=2)
    await stores[1].refresh()

    revoke, may_revoke = RedisCounters._revoke_all, asyncio.Event()

    async def revoke_then(counters: RedisCounters) -> None:
        await may_revoke.wait()
        await revoke(counters)

    monkeypatch.setattr(RedisCounters, "_revoke_all", revoke_then)
    lost = asyncio.ensure_future(one.claim(CALL))
    await asyncio.sleep(0)  # it waits to be sent
    lost.cancel()
    (step,) = (await asyncio.to_thread(other.as_json))["steps"]
    while await stores[1].counters("scenario").counts([step["id"]]) != [ClaimCount(1, 1)]:
        pass
    assert (await other.claim(CALL)).step
    await stores[1].counters("x").counts(["any"])  # takes the removal of the step along
    await stores[0].refresh()
    assert not one.has_faults
    revived = asyncio.Event()
    stores[0].observers = (lambda name: revived.set(),)
    may_revoke.set()
    await revived.wait()
    await stores[1].refresh()
    assert (await other.claim(CALL)).step
    assert (await other.claim(CALL)).step is None
    for store in stores:
        await store.disconnect()
        store.close()

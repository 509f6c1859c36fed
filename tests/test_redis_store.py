"""What Redis holds of a store: which keys, for how long, and what is written once."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.state.store import NUMBER_CODEC, Register
from tests.pictures import png
from tests.redis_server import RedisServer, missing_part, new_store_name, shared_redis
from tests.replicas import NOW, client_with_key, generate
from tests.stores import NUMBER, log_of

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

http = pytest.fixture(client_with_key)


def reply_lines(reply: bytes) -> list[str]:
    """The texts in a *reply* of Redis that is a list."""
    return [line for line in reply.decode().split("\r\n") if line and line[0] not in "*$"]


def test_all_that_redis_holds_has_the_prefix_and_a_time_to_live(http: httpx2.Client) -> None:
    redis = shared_redis()
    name = new_store_name()
    with Server(store=redis.url, store_name=name, rate_limit="100/min") as server:
        server.inject("server_error", match={"prompt": "fail"})
        for prompt in ("fail", "x"):
            generate(http, server, prompt=prompt)
        http.post(
            f"{server.base_url}/files",
            files={"file": ("a.png", png(), "image/png")},
            data={"purpose": "vision"},
        )
        prefix = f"images-emulator:5:{{{name}}}:"
        keys = reply_lines(redis.command("KEYS", f"*{name}*"))
        kinds = {key.removeprefix(prefix).split(":")[0] for key in keys}
        assert kinds == {"registers", "records", "counters", "buckets", "log"}
        for key in keys:
            assert key.startswith(prefix)
            assert int(redis.command("TTL", key)[1:]) > 24 * 3600
        server.reset()
        assert [*reply_lines(redis.command("KEYS", f"{prefix}*"))] == [f"{prefix}registers"]


async def test_stores_of_one_client_are_apart_and_end_and_expire_alone() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    parent = RedisStore(redis.url, name)
    child = RedisStore(parent.client, f"{name}/a%20b", ttl_seconds=60)
    for store, key in ((parent, "parent"), (child, "child")):
        await store.buckets("x", 9).take(key, 1, limit=2, seconds=60, now=NOW)
    await child.disconnect()
    child.close()
    take = await parent.buckets("x", 9).take("child", 1, limit=2, seconds=60, now=NOW)
    assert (take.granted, take.used) == (True, 1)
    prefixes = [f"images-emulator:5:{{{each}}}:" for each in (name, f"{name}/a%20b")]
    lives = [int(redis.command("TTL", f"{prefix}buckets:x:order")[1:]) for prefix in prefixes]
    assert 24 * 3600 < lives[0] <= 48 * 3600
    assert 30 < lives[1] <= 60
    await parent.disconnect()


def lives_of(redis: RedisServer, name: str, seconds: int | None = None) -> dict[str, int]:
    """The milliseconds that the keys of the store *name* live from one moment on, by their ends; -1
    for one that lives for ever. With *seconds*, they live as long from now on."""
    prefix = f"images-emulator:5:{{{name}}}:"
    keys = reply_lines(redis.command("KEYS", f"{prefix}*"))
    change = f"redis.call('EXPIRE', key, {seconds})" if seconds else ""
    loop = f"for at, key in ipairs(KEYS) do {change} lives[at] = redis.call('PTTL', key) end"
    script = f'"local lives = {{}} {loop} return lives"'
    found = redis.command("EVAL", script, str(len(keys)), *keys)
    numbers = [int(line[1:]) for line in reply_lines(found)]
    return dict(zip((key.removeprefix(prefix) for key in keys), numbers, strict=True))


async def test_the_keys_of_a_container_expire_together_whenever_they_were_made() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name, ttl_seconds=100)
    records, log = store.records("files", 100, NUMBER), log_of(store)
    await records.put({"a": 1}, 1)
    await log.append("a", 1, 1)
    lives_of(redis, name, 60)
    await records.delete("a")
    await records.put({"b": 2}, 1)
    await log.amend("a", 2, 1, detachable=True)
    lives = lives_of(redis, name)
    assert len(lives) == 8
    for container, least in (("records", 61_000), ("log", 1)):
        of_keys = [lives[key] for key in lives if key.startswith(container)]
        assert least <= min(of_keys) <= max(of_keys) <= min(of_keys) + 1000
    await store.disconnect()


async def test_a_container_from_which_a_record_is_deleted_has_a_time_to_live() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name)
    records = store.records("files", 100, NUMBER)
    await records.put({"a": 1, "b": 2}, 1)
    # Its weight has expired before the rest.
    redis.command("DEL", f"images-emulator:5:{{{name}}}:records:files:meta")
    assert await records.delete("a")
    lives = lives_of(redis, name)
    assert "records:files:meta" in lives
    assert min(lives.values()) > 0
    await store.disconnect()


async def test_deleting_a_record_that_is_not_there_leaves_no_key_in_redis() -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    redis, name = shared_redis(), new_store_name()
    store = RedisStore(redis.url, name)
    assert not await store.records("files", 100, NUMBER).delete("a")
    assert reply_lines(redis.command("KEYS", f"*{name}}}*")) == []
    await store.disconnect()


async def test_a_write_of_a_register_that_a_cluster_sends_again_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis.redis_client import RedisClient  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_registers_scripts import REPLACE  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    call = RedisClient.call

    async def call_twice(client: RedisClient, script: Any, *arguments: Any) -> Any:
        reply = await call(client, script, *arguments)
        return await call(client, script, *arguments) if script is REPLACE else reply

    monkeypatch.setattr(RedisClient, "call", call_twice)
    store = RedisStore(shared_redis().url, new_store_name())
    number = await asyncio.to_thread(store.register, "number", 1, NUMBER_CODEC)
    assert [await number.update(lambda value: value + 1) for _ in range(2)] == [2, 3]
    await store.disconnect()
    store.close()


async def test_a_reply_that_is_older_than_the_last_write_of_a_process_is_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from images_emulator.state.redis import redis_registers_scripts  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    name = new_store_name()
    one, other = (RedisStore(shared_redis().url, name) for _ in range(2))

    def registers() -> list[list[Register[int]]]:
        return [[store.register(each, 0, NUMBER) for each in "ab"] for store in (one, other)]

    (first, second), (written, _) = await asyncio.to_thread(registers)
    has_reply, may_go_on, call = asyncio.Event(), asyncio.Event(), one.client.call
    shares = []

    async def reply_late(script: Any, keys: Any, *arguments: Any) -> Any:
        reply = await call(script, keys, *arguments)
        if script is redis_registers_scripts.REFRESH and not has_reply.is_set():
            has_reply.set()
            await may_go_on.wait()
        shares.append(script is redis_registers_scripts.SHARE)
        return reply

    monkeypatch.setattr(one.client, "call", reply_late)
    await written.update(lambda _: 1)
    refreshing = asyncio.ensure_future(one.refresh())
    await has_reply.wait()
    await second.update(lambda _: 2)
    may_go_on.set()
    await refreshing
    assert (first.value, second.value) == (1, 2)
    assert not any(shares)
    assert one.client._recovery is None
    for store in (one, other):
        await store.disconnect()
        await asyncio.to_thread(store.close)


def test_each_script_has_a_name_of_its_own_which_is_that_of_its_constant() -> None:
    from images_emulator.state import redis  # noqa: PLC0415 - an extra
    from images_emulator.state.redis.redis_scripts import Script  # noqa: PLC0415 - an extra

    modules = [
        import_module(f"{redis.__name__}.{module.name}")
        for module in iter_modules(redis.__path__)
        if module.name.endswith("_scripts")
    ]
    scripts = {
        (constant, script)
        for module in modules
        for constant, script in vars(module).items()
        if isinstance(script, Script)
    }
    names = [script.name for _, script in scripts]
    assert len({*names}) == len(names) > 0
    assert names == [constant.lower() for constant, _ in scripts]

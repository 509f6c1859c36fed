"""A reset from another thread while calls are in flight: nothing of it surprises them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
import pytest

from images_emulator import Emulator, Server, Settings
from images_emulator.contract import operational_errors
from images_emulator.contract.blob_storage import StorageError
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.refusal import APIError
from images_emulator.contract.request import ImageRequest
from images_emulator.state.account import CODEC, random_account
from images_emulator.state.clock import Clock
from images_emulator.state.files import Files
from images_emulator.state.hosting import Hosting
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.rate_limits import RateLimits
from tests.test_hosting import NUMBER

ROUNDS = 1_000
THREADS = 4

REQUEST = ImageRequest(
    operation=GENERATIONS, model=MODELS["gpt-image-2"], prompt="x", size=(1024, 1024)
)


@pytest.fixture
def eager() -> Iterator[None]:
    """Threads that take turns after a microsecond, so that each meets the others in the middle."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def hammer(work: Callable[[], object], reset: Callable[[], object]) -> list[BaseException]:
    """What was raised when some threads *work* and one does nothing but *reset*."""
    raised: list[BaseException] = []
    done = threading.Event()

    def worker() -> None:
        try:
            for _ in range(ROUNDS):
                work()
        except Exception as error:  # noqa: BLE001 - any exception is what is looked for
            raised.append(error)

    def resetter() -> None:
        try:
            while not done.is_set():
                reset()
        except Exception as error:  # noqa: BLE001 - any is looked for
            raised.append(error)

    workers = [threading.Thread(target=worker) for _ in range(THREADS)]
    last = threading.Thread(target=resetter)
    for thread in (*workers, last):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    last.join()
    return raised


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_files_can_be_reset_by_another_thread() -> None:
    store = MemoryStore()
    files = Files(Clock(store), store, budget=5_000)

    async def use() -> None:
        file = await files.add("a.png", "vision", b"x" * 1_000)
        await files.all()
        await files.delete(file.id)
        added = await files.add("b.png", "vision", b"x" * 1_000)
        files.data(added.id)

    assert hammer(lambda: store.run(use()), lambda: store.run(files.clear())) == []
    store.run(files.clear())
    store.run(files.add("c.png", "vision", b"x" * 1_000))
    assert len(store.run(files.all())) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_hosted_pictures_can_be_reset_by_another_thread() -> None:
    store = MemoryStore()
    clock = Clock(store)
    account = store.register("account", random_account(), CODEC)
    hosting = Hosting(clock, store, account, NUMBER, budget=100)

    async def use() -> None:
        (target,), stored = hosting.publish([1], 30, clock.now())
        await stored
        url = urlsplit(target)
        with suppress(StorageError):
            await hosting.find(url.path, url.query)

    assert hammer(lambda: store.run(use()), lambda: store.run(hosting.clear())) == []
    # Were any forgotten one still weighed, there would be no room for these.
    store.run(hosting.clear())
    targets, stored = hosting.publish([1, 2], 50, clock.now())
    store.run(stored)
    urls = [*map(urlsplit, targets)]
    assert [store.run(hosting.find(url.path, url.query)) for url in urls] == [1, 2]


@pytest.mark.usefixtures("eager")
def test_the_clock_can_be_reset_by_another_thread() -> None:
    clock = Clock(MemoryStore())

    def work() -> None:
        clock.freeze()
        assert isinstance(clock.now(), datetime)
        clock.advance(seconds=1)
        clock.resume()
        assert isinstance(clock.now(), datetime)

    assert hammer(work, clock.reset) == []


@pytest.mark.usefixtures("eager")
def test_no_step_of_the_clock_is_lost_among_threads() -> None:
    clock = Clock(MemoryStore())
    start = datetime(2031, 1, 2, tzinfo=UTC)
    clock.freeze(start)
    assert hammer(lambda: clock.advance(seconds=1), lambda: None) == []
    assert clock.now() - start == timedelta(seconds=ROUNDS * THREADS)


@pytest.mark.usefixtures("eager")
def test_rate_limits_can_be_reset_by_another_thread() -> None:
    store = MemoryStore()
    account = store.register("account", random_account(), CODEC)
    limits = RateLimits("5/min", Clock(store), account, store, 2)
    keys = iter(range(10**9))

    def work() -> None:
        with suppress(APIError):
            admission = limits.admission(
                f"{next(keys) % 4}", REQUEST, operational_errors.rate_limited, None, {}
            )
            store.run(admission.admit())

    assert hammer(work, lambda: store.run(limits.clear())) == []


@pytest.mark.slow
def test_a_server_can_be_reset_while_it_answers() -> None:
    settings = Settings(port=0, rate_limit="1000000/s")
    with Server(settings) as server:
        headers = {"Authorization": "Bearer k"}
        done = threading.Event()

        def reset() -> None:
            while not done.is_set():
                server.reset()

        thread = threading.Thread(target=reset)
        thread.start()
        body = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
        with httpx2.Client(base_url=server.url, headers=headers, timeout=60) as http:
            for _ in range(40):
                answer = http.post("/v1/images/generations", json=body)
                assert answer.status_code == 200
                assert http.get(answer.json()["data"][0]["url"]).status_code in (200, 404)
                form = {"file": ("a.png", b"x", "image/png")}
                added = http.post("/v1/files", files=form, data={"purpose": "vision"})
                assert added.status_code == 200
                assert http.delete(f"/v1/files/{added.json()['id']}").status_code in (200, 404)
        done.set()
        thread.join()


def test_a_reset_gives_memory_back_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator()
    trimmed: list[int] = []
    monkeypatch.setattr(
        "images_emulator.state.emulator.trim_memory", lambda: trimmed.append(len(emulator.journal))
    )
    emulator.reset()
    assert trimmed == [0]

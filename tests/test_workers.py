"""`serve --workers`: several processes that are one server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

import httpx2
import pytest

from images_emulator.cli.start_text import start_text
from images_emulator.rendering.cores import spare_cores
from images_emulator.settings import LogSettings, Settings
from images_emulator.shared_listener import ConnectionCounts
from images_emulator.workers import supervisor as supervisor_module
from images_emulator.workers.own_redis import OwnRedis, OwnRedisError
from images_emulator.workers.supervisor import Supervisor, WorkerError, end_text, worker_command
from images_emulator.workers.worker_messages import Report
from tests.conftest import KEY, ROOT
from tests.feed_listener import listening
from tests.processes import children, is_running
from tests.redis_server import missing_part, new_store_name, shared_redis
from tests.test_cli import ANY, COMMAND, all_of, open_call, wait_for_refusal
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.skipif(os.name == "nt", reason="needs sockets that processes share"),
]

SECONDS: Final = 40
"""Seconds in which a test expects what takes a second on a machine that is not busy."""

BODY: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}


@pytest.fixture(autouse=True)
def handlers_of_signals() -> Iterator[None]:
    """A supervisor in this process leaves handlers."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


class Workers:
    """The command with two workers, and the URL that it prints."""

    def __init__(self, process: subprocess.Popen[str], start: Sequence[str]) -> None:
        self.process = process
        self.start = start
        self.url = start[0].removeprefix("Listening on ")

    @property
    def pids(self) -> list[int]:
        """The ids of the workers."""
        commands = children(self.process.pid)
        return sorted(pid for pid, text in commands.items() if "worker_process" in text)

    @property
    def redis_pid(self) -> int:
        (pid,) = (pid for pid, text in children(self.process.pid).items() if "unixsocket" in text)
        return pid

    @property
    def folder(self) -> Path:
        """The temporary folder."""
        match = re.search(r"unixsocket:(\S+)/redis", children(self.process.pid)[self.redis_pid])
        assert match
        return Path(match[1])

    def read_line(self) -> str:
        """The next line of the log."""
        assert self.process.stdout
        return self.process.stdout.readline().rstrip("\n")

    def notice(self) -> str:
        """The next notice about a process."""
        assert self.process.stderr
        while "process" not in (line := self.process.stderr.readline()):
            assert line
        return line.rstrip("\n")

    def generate(self, **fields: Any) -> httpx2.Response:
        """The answer to a call on a connection of its own."""
        headers = {"authorization": f"Bearer {KEY}"}
        url = f"{self.url}/v1/images/generations"
        return httpx2.post(url, json={**BODY, **fields}, headers=headers, timeout=SECONDS)

    def journal(self) -> list[dict[str, Any]]:
        """The calls, oldest first."""
        answer = httpx2.get(f"{self.url}/_emulator/requests", params={"limit": 1000})
        calls: list[dict[str, Any]] = answer.json()["requests"]
        return calls


@contextmanager
def serving(*flags: str, lines: int = 5, group: bool = False) -> Iterator[Workers]:
    """Two workers; their start has so many *lines*. With *group* they have a process group."""
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--workers", "2", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        process_group=0 if group else None,
    )
    try:
        assert process.stdout
        assert process.stderr
        start = [process.stdout.readline().rstrip("\n") for _ in range(lines)]
        assert start[-1], process.stderr.read()
        yield Workers(process, start)
    finally:
        process.kill()
        process.communicate()


def stop(workers: Workers) -> None:
    """Stop all, which ends well."""
    workers.process.send_signal(signal.SIGTERM)
    wait_for_end(workers)


def wait_for_end(workers: Workers) -> None:
    """Wait until all have stopped, which ends well."""
    assert workers.process.wait(SECONDS) == 0
    assert workers.process.stderr
    assert "Traceback" not in workers.process.stderr.read()


@pytest.fixture(scope="module")
def running_workers() -> Iterator[Workers]:
    with serving("--api-key", KEY) as workers:
        yield workers


@pytest.fixture
def workers(running_workers: Workers) -> Workers:
    httpx2.post(f"{running_workers.url}/_emulator/reset").raise_for_status()
    return running_workers


# --- one server


def test_start_of_workers_is_printed_once() -> None:
    with serving() as workers:
        stop(workers)
        assert workers.process.stdout
        assert [*workers.start, *workers.process.stdout.read().splitlines()] == [
            f"Listening on {workers.url}",
            ANY,
            "workers=2: one emulator, with a Redis of their own",
            f"The page is at {workers.url}/_emulator/",
            f"In your shell: export OPENAI_BASE_URL={workers.url}/v1 OPENAI_API_KEY=sk-test",
        ]


def test_each_worker_answers_and_both_have_one_journal(workers: Workers) -> None:
    for number, pid in enumerate(workers.pids):
        # Only the other one can answer.
        os.kill(pid, signal.SIGSTOP)
        try:
            assert workers.generate(prompt=f"{number}").status_code == 200
            until(lambda: httpx2.get(f"{workers.url}/_emulator/ready").status_code == 200)
            prompts = [call["prompt"] for call in workers.journal()]
            assert prompts == [f"{each}" for each in range(number + 1)]
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [call["number"] for call in workers.journal()] == [1, 2]


def test_url_made_by_one_worker_is_served_by_the_other(workers: Workers) -> None:
    first, second = workers.pids
    stopped_worker = first
    os.kill(first, signal.SIGSTOP)
    try:
        url = workers.generate().json()["data"][0]["url"]
        os.kill(first, signal.SIGCONT)
        stopped_worker = second
        os.kill(second, signal.SIGSTOP)
        assert httpx2.get(url, timeout=SECONDS).headers["content-type"] == "image/png"
    finally:
        os.kill(stopped_worker, signal.SIGCONT)


def test_a_fault_is_met_as_often_as_it_says_by_both_workers(workers: Workers) -> None:
    fault = {"fault": "server_error", "times": 5}
    httpx2.post(f"{workers.url}/_emulator/inject", json=fault).raise_for_status()
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: workers.generate().status_code, range(32)))
    assert statuses == {500: 5, 200: 27}
    assert len(workers.journal()) == 32


def test_each_worker_takes_some_of_many_connections(workers: Workers) -> None:
    counts = ConnectionCounts(workers.folder / "connections", 2)
    port = int(workers.url.rpartition(":")[2])

    def fewest() -> int:
        # Those of earlier calls may still be open.
        until(lambda: sum(counts.counts) == 0)
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        until(lambda: sum(counts.counts) == 16)
        taken = min(counts.counts)
        for each in connections:
            each.close()
        return taken

    # On a busy machine one of them may take all, while the other gets no turn.
    assert any(fewest() >= 5 for _ in range(10))
    counts.close()


def test_live_events_of_both_workers_come_to_a_reader(workers: Workers) -> None:
    with listening(workers.url) as listener:
        ids = {workers.generate().headers["x-request-id"] for _ in range(6)}
        while ids:
            ids.discard(listener.until("completed").data["id"])


def test_workers_answer_recorded_exchanges_as_the_api_did(workers: Workers) -> None:
    flags = ("--api-key", KEY, "--costs")
    done = subprocess.run(
        [COMMAND, "drift", "fixtures/exchanges", "--upstream", f"{workers.url}/v1", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:]


# --- the log


def test_workers_with_a_store_start_no_redis_and_write_whole_lines() -> None:
    store = ("--store", shared_redis().patient_url, "--store-name", new_store_name())
    flags = ("--log-format", "json", "--log-level", "debug", "--metrics", *store)
    with serving(*flags, lines=2) as workers:
        assert not any("unixsocket" in each for each in children(workers.process.pid).values())
        start = json.loads(workers.start[0])
        assert (start["event"], start["workers"]) == ("start", 2)
        assert json.loads(workers.start[1])["event"] == "log"
        workers.url = start["url"]
        prompts = {f"{number} " + "long " * 3000 for number in range(24)}
        with ThreadPoolExecutor(8) as pool:
            for answer in pool.map(lambda prompt: workers.generate(prompt=prompt, n=99), prompts):
                assert answer.status_code == 400
        lines = [json.loads(workers.read_line()) for _ in prompts]
        # Any worker answers with the figures of all.
        figures = httpx2.get(f"{workers.url}/metrics").text
    assert {line["event"] for line in lines} == {"call"}
    counts = re.findall(r"^images_emulator_calls_total{.*} (\d+)", figures, re.MULTILINE)
    assert sum(map(int, counts)) == len(prompts)


# --- ends


def test_worker_that_is_killed_is_replaced_and_no_call_is_lost(workers: Workers) -> None:
    before = workers.pids
    assert workers.generate(prompt="before").status_code == 200
    os.kill(before[0], signal.SIGKILL)
    assert workers.generate(prompt="meanwhile").status_code == 200
    ended = rf"worker [12] \(process {before[0]}\) was ended by SIGKILL; another one takes its.*"
    assert re.fullmatch(ended, workers.notice())
    # The other one cannot answer.
    os.kill(before[1], signal.SIGSTOP)
    try:
        assert workers.generate(prompt="after").status_code == 200
    finally:
        os.kill(before[1], signal.SIGCONT)
    assert [call["prompt"] for call in workers.journal()] == ["before", "meanwhile", "after"]
    assert len({*before} & {*workers.pids}) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux lists loaded libraries")
def test_a_worker_loads_what_it_draws_with_before_any_question(workers: Workers) -> None:
    os.kill(workers.pids[0], signal.SIGKILL)
    assert "another one takes its" in workers.notice()

    def loaded() -> list[bool]:
        maps = (Path(f"/proc/{pid}/maps").read_text() for pid in workers.pids)
        return ["PIL/_imagingft" in text for text in maps]

    until(lambda: loaded() == [True, True])


def test_redis_of_the_workers_is_replaced(workers: Workers) -> None:
    redis, folder = workers.redis_pid, workers.folder
    os.kill(redis, signal.SIGKILL)
    ended = f"the Redis of the workers (process {redis}) was ended by SIGKILL; another one takes"
    assert workers.notice().startswith(ended)
    until(lambda: workers.generate().status_code == 200)
    # The other worker may not have reached the new one yet.
    until(lambda: httpx2.get(f"{workers.url}/_emulator/requests").json().get("total", 0) > 0)
    assert workers.folder == folder


def test_sigterm_stops_all_and_lets_a_short_call_finish() -> None:
    with (
        serving() as workers,
        open_call(workers.url, "generations", {"n": 99}, unsent=1) as connection,
    ):
        until(workers.journal)
        processes, folder = children(workers.process.pid), workers.folder
        workers.process.send_signal(signal.SIGTERM)
        wait_for_refusal(workers.url)
        connection.sendall(b"}")
        wait_for_end(workers)
        answer = all_of(connection)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"connection: close\r\n" in answer
        assert not any(map(is_running, processes))
        assert not folder.exists()


def test_ctrl_c_in_the_terminal_stops_all() -> None:
    with serving(group=True) as workers:
        processes = children(workers.process.pid)
        os.killpg(workers.process.pid, signal.SIGINT)
        os.killpg(workers.process.pid, signal.SIGINT)
        assert workers.process.wait(SECONDS) == 0
        assert workers.process.stderr
        assert workers.process.stderr.read() == ""
        assert not any(map(is_running, processes))


def test_supervisor_that_is_killed_leaves_nothing() -> None:
    with serving() as workers:
        processes, folder = children(workers.process.pid), workers.folder
        workers.process.kill()
        until(lambda: not any(map(is_running, processes)))
        assert not folder.exists()


def test_processes_that_are_killed_together_leave_nothing() -> None:
    with serving(group=True) as workers:
        processes, folder = children(workers.process.pid), workers.folder
        os.killpg(workers.process.pid, signal.SIGKILL)
        until(lambda: not any(map(is_running, processes)))
        assert not folder.exists()


def test_supervisor_that_is_killed_before_its_redis_answers_leaves_nothing(tmp_path: Path) -> None:
    program, note = tmp_path / "redis-server", tmp_path / "pid"
    program.write_text(
        f'#!/bin/sh\necho $$ > "{note}.new"; mv "{note}.new" "{note}"\nexec sleep 99\n'
    )
    program.chmod(0o700)
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--workers", "2"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
    )
    until(note.exists)
    end = f" {note.read_text().strip()}"
    until(lambda: any(each.endswith(end) for each in children(process.pid).values()))  # guarded
    process.kill()
    process.wait()
    until(lambda: not is_running(int(note.read_text())))
    until(lambda: not [*tmp_path.glob("images-emulator-*")])


# --- what they need


def failed_start(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, "serve", "--port", "0", "--workers", "2", *flags],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.stdout == ""
    return done


def test_workers_that_cannot_start_end_all_with_one_error() -> None:
    done = failed_start("--scenario", "nowhere.toml")
    assert done.returncode == 2
    assert done.stderr.count("nowhere.toml") == 1


def test_port_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = failed_start("--port", f"{taken.getsockname()[1]}")
    assert done.returncode == 1
    assert "-p 0 takes a free one" in done.stderr


def test_workers_without_a_redis_name_what_is_missing(tmp_path: Path) -> None:
    done = failed_start(PATH=str(tmp_path), TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "images-emulator: workers share a Redis: install redis-server or valkey-server, "
        "or name one that runs with --store\n"
    )
    assert [*tmp_path.iterdir()] == []


def test_workers_without_its_client_name_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("images_emulator.workers.own_redis.find_spec", lambda name: None)
    with pytest.raises(OwnRedisError, match=r"pip install 'openai-images-emulator\[redis\]'"):
        OwnRedis(tmp_path, 2**20)


def test_start_of_workers_names_their_store_without_its_password() -> None:
    settings = Settings(store="redis://user:secret@localhost:1/0")
    text = start_text("http://127.0.0.1:1", 1, settings, LogSettings(), workers=2)
    assert "workers=2: one emulator, with the Redis at redis://localhost:1/0\n" in text


def test_start_of_a_server_names_its_store_without_its_password() -> None:
    settings = Settings(store="redis://user:secret@localhost:1/0", store_name="team")
    text = start_text("http://127.0.0.1:1", 1, settings, LogSettings())
    assert "store=redis://localhost:1/0: one emulator with all servers of its name 'team'\n" in text


def test_redis_that_is_full_refuses_with_the_reason(tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415

    from images_emulator import Server  # noqa: PLC0415

    async def start_and_stop(redis: OwnRedis) -> None:
        process = await redis.start()
        with_store = await asyncio.to_thread(Server, store=redis.url)
        async with with_store as server, httpx2.AsyncClient() as http:
            headers = {"authorization": f"Bearer {KEY}"}
            path = f"{server.base_url}/files"
            form: Any = {"data": {"purpose": "vision"}, "headers": headers}
            file = {"file": ("a.png", bytes(2**20), "image/png")}
            answers = [await http.post(path, files=file, **form)]
            while answers[-1].status_code == 200:
                answers.append(await http.post(path, files=file, **form))
            assert 4 < len(answers) < 32
            error = answers[-1].json()["error"]
            assert (answers[-1].status_code, error["code"]) == (503, "store_unavailable")
            assert "maxmemory" in error["message"]
            # Redis frees what is deleted a moment later.
            while (await http.post(f"{server.url}/_emulator/reset")).is_error:
                pass
            assert (await http.post(path, files=file, **form)).status_code == 200
        await redis.stop()
        assert process.returncode == -signal.SIGKILL

    asyncio.run(start_and_stop(OwnRedis(tmp_path, 32 * 2**20)))


@pytest.mark.parametrize("count", ["-1", "many"])
def test_number_of_workers_that_is_none_is_refused(count: str) -> None:
    done = failed_start("--workers", count)
    assert done.returncode == 2
    assert "workers" in done.stderr


def test_workers_leave_cores_to_render_processes_only_where_there_are_more(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert spare_cores(tmp_path, processes=2) == 0


# --- the supervisor


WORKER: Final = """
import json, os, pathlib, signal, sys, time
order = json.loads(sys.stdin.readline())
starts = pathlib.Path(sys.argv[1])
number = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (number + 1))
"""


def supervised(
    tmp_path: Path, code: str, *, notices: int = 0, count: int = 1
) -> tuple[list[Report], list[str]]:
    """The reports and the first *notices* of a supervisor whose workers run *code*."""
    listener = socket.create_server(("127.0.0.1", 0))
    program = tmp_path / "worker.py"
    program.write_text(WORKER + code)
    supervisor = Supervisor(
        count,
        [sys.executable, str(program), str(tmp_path / "starts")],
        listener,
        settings={"store": "redis://127.0.0.1:1"},
        log_settings={},
        store_bytes=0,
    )
    reports: list[Report] = []
    texts: list[str] = []

    def ready(report: Report) -> None:
        reports.append(report)
        if not notices:
            os.kill(os.getpid(), signal.SIGTERM)

    def notice(text: str) -> None:
        texts.append(re.sub(r"process \d+", "process 1", text))
        if len(texts) == notices:
            os.kill(os.getpid(), signal.SIGTERM)

    supervisor.run(ready, notice)
    assert not supervisor.folder.exists()
    return reports, texts


READY: Final = 'os.write(0, b"{}" + bytes([10]))'


def test_worker_that_ends_before_it_serves_ends_all(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="a worker has ended with exit status 3 before it served"):
        supervised(tmp_path, "sys.exit(3)")


def test_worker_that_cannot_be_started_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerError, match="a worker cannot be started: No such file"):
        supervised(tmp_path, "")


def test_worker_whose_start_fails_behind_its_process_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, processes = asyncio.create_subprocess_exec, list[asyncio.subprocess.Process]()

    async def started(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        processes.append(await start(*arguments, **options))
        return processes[-1]

    async def failing(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    monkeypatch.setattr(asyncio, "open_connection", failing)
    with pytest.raises(WorkerError, match="a worker cannot be started: Too many open files"):
        supervised(tmp_path, "time.sleep(60)")
    assert processes
    assert {process.returncode for process in processes} == {-signal.SIGKILL}


def test_worker_that_ends_again_and_again_is_replaced_later_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "SETTLED_SECONDS", 3600)
    monkeypatch.setattr(supervisor_module, "MIN_DELAY_SECONDS", 0.01)
    monkeypatch.setattr(supervisor_module, "MAX_DELAY_SECONDS", 0.03)
    code = f"""
if number == 2:
    os.write(0, b'{{"error": "no luck"}}' + bytes([10]))
    sys.exit(1)
{READY}
sys.exit(4)
"""
    _, texts = supervised(tmp_path, code, notices=4)
    ended = "worker 1 (process 1) has ended with exit status 4; another one takes its place"
    assert texts == [ended, ended, "worker 1 does not start: no luck; again in 0.03 s", ended]


def test_workers_find_a_folder_for_their_metrics(tmp_path: Path) -> None:
    value = 'json.dumps({"pictures": os.environ["PROMETHEUS_MULTIPROC_DIR"]})'
    code = f"os.write(0, {value}.encode() + bytes([10])); time.sleep(60)"
    (report,), _ = supervised(tmp_path, code)
    assert report.pictures
    assert Path(report.pictures).name == "metrics"


def test_worker_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS", 0.01)
    began = monotonic()
    supervised(tmp_path, f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}; time.sleep(60)")
    assert monotonic() - began < SECONDS


def test_worker_that_cannot_start_ends_all_with_its_error(tmp_path: Path) -> None:
    report = '{"error": "no luck"}'
    with pytest.raises(WorkerError, match="no luck") as error:
        supervised(tmp_path, f"os.write(0, b'{report}' + bytes([10]))", count=2)
    assert not error.value.is_usage_error


def test_worker_that_hangs_after_its_error_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS", 0.01)
    report = '{"error": "no luck"}'
    began = monotonic()
    with pytest.raises(WorkerError, match="no luck"):
        supervised(tmp_path, f"os.write(0, b'{report}' + bytes([10])); time.sleep(120)")
    assert monotonic() - began < SECONDS


def test_error_of_a_worker_is_told_however_long_it_is(tmp_path: Path) -> None:
    report = """json.dumps({"error": "no luck " * 50_000}).encode() + bytes([10])"""
    code = f"sys.stdout = open(0, 'wb', closefd=False); sys.stdout.write({report})"
    with pytest.raises(WorkerError) as error:
        supervised(tmp_path, f"{code}; sys.stdout.flush()")
    assert str(error.value) == "no luck " * 50_000


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("os.write(0, b'no report' + bytes([10]))", "a worker has sent no report, but b'no report"),
        ("os.write(0, b'[1]' + bytes([10]))", r"a worker has sent no report, but b'\[1\]"),
        ("os.write(0, b'{\"x\": 1}' + bytes([10]))", "a worker has sent no report, but "),
        ("", "a worker has not served within 300 seconds"),
    ],
)
def test_worker_that_sends_no_report_is_killed(
    code: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not code:
        monkeypatch.setattr(supervisor_module, "REPORT_SECONDS", 0.5)
    with pytest.raises(WorkerError, match=sentence):
        supervised(tmp_path, f"{code or '0'}; time.sleep(60)")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("os.write(0, b'{\"part'); os._exit(3)", "has ended with exit status 3 before it served"),
        ("os.write(0, b'no report' + bytes([10]))", "a worker has sent no report, but"),
    ],
    ids=["part", "no report"],
)
def test_worker_that_ends_with_its_report_ends_all_with_an_error(
    code: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError, match=sentence):
        supervised(tmp_path, code, count=4)


def test_signal_during_the_start_ends_all(tmp_path: Path) -> None:
    code = "os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    assert supervised(tmp_path, code) == ([], [])


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "has ended with exit status 0"), (-15, "was ended by SIGTERM"), (-99, "by signal 99")],
)
def test_end_of_a_process_is_told_in_words(status: int, text: str) -> None:
    assert text in end_text(status)


def test_worker_imports_the_modules_of_this_process() -> None:
    program, option, code = worker_command("images_emulator.cli.worker_process")
    assert (program, option) == (sys.executable, "-c")
    assert repr([*map(str, sys.path)]) in code

"""The command where its standard streams are closed, full or of another encoding."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from images_emulator.cli.line_writer import LineWriter
from reliability.ports import free_port
from tests.waiting import until

COMMAND = str(Path(sys.executable).parent / "images-emulator")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")

ODD_STREAMS = {
    "full output and errors": ">/dev/full 2>/dev/full",
    "closed output": ">&-",
    "closed errors": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "output that nobody reads": "| true",
}


def in_shell(arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, which leads its streams as the *arguments* say."""
    return subprocess.run(
        ["sh", "-c", f"{shlex.quote(COMMAND)} {arguments}"],  # noqa: S607 - as users have it
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


@contextmanager
def served(streams: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A shell that has become a server, and its port."""
    port = free_port()
    # A shell that waits for the other end of a pipe tells nothing of the server's end.
    line = f"{shlex.quote(COMMAND)} serve --port {port} {streams}"
    process = subprocess.Popen(
        ["sh", "-c", line if "|" in streams else f"exec {line}"],  # noqa: S607 - as users have it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def serves() -> bool:
        assert process.poll() is None, process.communicate()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        until(serves)
        yield process, port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("streams", ODD_STREAMS.values(), ids=ODD_STREAMS)
def test_server_answers_without_its_standard_streams(streams: str) -> None:
    with served(streams) as (process, port):
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as http:
            for _ in range(3):
                answer = http.get("/v1/models", headers={"authorization": "Bearer x"})
                assert (answer.status_code, answer.json()["object"]) == (200, "list")
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=8)
        # A shell that waits for the server gets the signal, too.
        status = -signal.SIGTERM if "|" in streams else 0
        assert (process.returncode, errors) == (status, "")


HELP = ("--help", "help draw", "draw --help", "scenario check --help", "serve --help-all")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["models", *HELP])
def test_command_says_in_one_line_that_its_output_is_full(arguments: str) -> None:
    done = in_shell(f"{arguments} >/dev/full")
    assert (done.returncode, done.stderr) == (1, "images-emulator: No space left on device\n")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", HELP)
def test_help_whose_reader_is_gone_ends_without_a_word(arguments: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as pipe:
        done = subprocess.run(
            [COMMAND, *arguments.split()],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.slow
def test_command_prints_nothing_to_a_closed_output() -> None:
    done = in_shell("models >&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_characters_that_the_output_does_not_have_are_escapes() -> None:
    done = in_shell("serve --help-all", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"OTEL_\u2026" in done.stdout


@pytest.mark.slow
def test_a_line_of_which_a_full_disk_takes_a_part_is_ended_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [len("one\ntw"), 0, len("\n(1 line")]

    def full(fd: int, data: bytes) -> int:
        if fd != log.fileno():
            return write(fd, data)
        if room and not room[0]:
            room.pop(0)
            raise OSError(28, "No space left on device")
        taken = data[: room[0]] if room else data
        if room:
            room[0] -= len(taken)
        return write(fd, taken)

    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr(os, "write", full)
        lines = LineWriter[str](log.fileno(), "{}\n".format)
        for item in ("one", "two", "three", "four", "five"):
            lines.put(item)
            until(lambda: lines._is_idle)
        lines.close()
    assert (tmp_path / "log").read_text() == (
        "one\ntw\n(2 line\n(3 lines were dropped here: the disk was full)\nfive\n"
    )


def test_lines_that_a_full_disk_does_not_take_are_counted_once_it_does(tmp_path: Path) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    lines = LineWriter[str](fd, "{}\n".format)
    with (tmp_path / "log").open("w") as log:
        for item in ("one", "two"):
            lines.put(item)
            # The disk has taken neither.
            until(lambda: lines._is_idle)
        os.dup2(log.fileno(), fd)
        lines.put("three")
        lines.close()
    os.close(fd)
    assert (tmp_path / "log").read_text() == (
        "(2 lines were dropped here: the disk was full)\nthree\n"
    )

"""What a server process holds after a reset, whatever it was sent: resident memory, from Linux."""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from reliability.plain_webp import plain_webp
from tests.pictures import half_clear, png
from tests.test_cli import COMMAND

GENERATIONS = "/v1/images/generations"
SMALL = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
MB = 10**6
JSON = "application/json"
FORM = "multipart/form-data; boundary=b"
MAX_GAIN = 50 * MB
"""Bytes that a server may hold more after a reset than when it began."""


class Measured:
    """A server of its own process, warmed up, with a client."""

    def __init__(self, process: subprocess.Popen[str], http: httpx2.Client) -> None:
        self.process = process
        self.http = http
        self.plain = HTTPConnection(http.base_url.host, http.base_url.port, timeout=60)
        assert self.edit(0).status_code == 200
        http.get("/_emulator/requests")
        self.start = self.reset()

    def resident(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def edit(self, number: int, **headers: str) -> httpx2.Response:
        form = {"model": "gpt-image-2", "prompt": f"{number}", "quality": "low"}
        files = {"image": ("a.png", png((1500, 1500)), "image/png")}
        if headers:
            # Forgiven when the picture has been decoded.
            files["mask"] = ("m.png", half_clear((10, 10)), "image/png")
        raw_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/v1/images/edits", data=form, files=files, headers=raw_headers)

    def send(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of the answer to a POST. It goes past httpx2, which takes longer
        for long headers and forms than the server."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.plain.request("POST", path, body, {"authorization": "Bearer k"} | names)
        answer = self.plain.getresponse()
        return answer.status, json.load(answer)

    def reset(self) -> int:
        """The resident memory after a reset, in bytes."""
        assert self.http.post("/_emulator/reset").status_code == 200
        return self.resident()


@pytest.fixture
def measured() -> Iterator[Measured]:
    if sys.platform != "linux":
        pytest.skip("only Linux tells what a process holds")
    command = [COMMAND, "serve", "--port", "0", "--journal-bytes", "8000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = next(word for word in process.stdout.readline().split() if "://" in word)
        headers = {"Authorization": "Bearer k"}
        with httpx2.Client(base_url=address, headers=headers, timeout=60) as http:
            measured = Measured(process, http)
            yield measured
            measured.plain.close()
        process.terminate()


def form(fields: dict[str, str], files: list[tuple[str, str]]) -> bytes:
    """A form with these texts, and with *files* of one byte by names of parameter and file."""
    head = '--b\r\nContent-Disposition: form-data; name="'
    parts = [f'{head}{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    parts += [
        f'{head}{name}"; filename="{file_name}"\r\nContent-Type: image/png\r\n\r\nx\r\n'
        for name, file_name in files
    ]
    return "".join([*parts, "--b--\r\n"]).encode()


@pytest.mark.slow
def test_reset_frees_the_memory_of_lenient_edits(measured: Measured) -> None:
    for number in range(12):
        assert measured.edit(number, x_emulator_validation="lenient").status_code == 200
    assert measured.resident() < measured.start + 100 * MB
    assert measured.reset() < measured.start + MAX_GAIN


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "accepted"),
    [
        (lambda: plain_webp(8000, 8000), False),
        (lambda: plain_webp(5150, 5000), True),
    ],
    ids=["64 million", "26 million"],
)
def test_an_edit_of_a_picture_of_many_pixels_takes_350_mb_at_most(
    measured: Measured, make: Callable[[], bytes], accepted: bool
) -> None:
    data = make()
    fields = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    Path(f"/proc/{measured.process.pid}/clear_refs").write_text("5")
    before = measured.resident()
    answer = measured.http.post(
        "/v1/images/edits", data=fields, files={"image": ("a", data, "image/png")}
    )
    assert answer.status_code == (200 if accepted else 400)
    status = Path(f"/proc/{measured.process.pid}/status").read_text()
    most = 1024 * int(status.partition("VmHWM:")[2].split()[0])
    assert most - before < (350 * MB if accepted else 10 * MB)
    assert measured.resident() < before + 100 * MB


@pytest.mark.slow
@pytest.mark.parametrize("key", ["Bearer k", ""])
def test_reset_frees_the_memory_of_json_with_many_parts(measured: Measured, key: str) -> None:
    for parts in (7_000_000, 30_000):
        body = b'{"model":"gpt-image-2","prompt":"x","svg":[%s{}]}' % (b"{}," * parts)
        headers = {"Content-Type": "application/json", "Authorization": key}
        for _ in range(3):
            answer = measured.http.post(GENERATIONS, content=body, headers=headers)
            assert answer.status_code in (400, 401, 413)
    measured.http.get("/_emulator/requests")
    assert measured.reset() < measured.start + MAX_GAIN


@pytest.mark.slow
def test_reset_frees_the_memory_of_long_user_fields(measured: Measured) -> None:
    long = "u" * 4 * MB
    for number in range(40):
        body = json.dumps(SMALL | {"user": "USER"}).replace("USER", f"{number}{long}").encode()
        assert measured.send(GENERATIONS, body, content_type=JSON)[0] == 200
    measured.http.get("/_emulator/requests")
    assert measured.resident() < measured.start + 110 * MB
    assert measured.reset() < measured.start + MAX_GAIN


@pytest.mark.slow
def test_reset_frees_the_memory_of_long_keys(measured: Measured) -> None:
    body = json.dumps(SMALL | {"response_format": "b64_json"}).encode()
    long = "k" * 200_000
    for number in range(500):
        key = f"Bearer {number}{long}"
        assert measured.send(GENERATIONS, body, content_type=JSON, authorization=key)[0] == 200
    assert measured.resident() < measured.start + 80 * MB
    assert measured.reset() < measured.start + MAX_GAIN


@pytest.mark.slow
def test_reset_frees_the_memory_of_long_file_names(measured: Measured) -> None:
    long = "a" * 15_000  # the head of a part may have 16 KB
    for number in range(300):
        images = [("image[]", f"{number}{long}{index}") for index in range(16)]
        edit = form({"model": "gpt-image-2", "prompt": "x"}, images)
        status, answer = measured.send("/v1/images/edits", edit, content_type=FORM)
        assert (status, answer["error"]["code"]) == (400, "invalid_image_file")
        name = f"{number}{long}"
        upload = form({"purpose": "vision"}, [("file", name)])
        status, answer = measured.send("/v1/files", upload, content_type=FORM)
        assert (status, answer["filename"]) == (200, name)
    assert measured.reset() < measured.start + MAX_GAIN


_ANOTHER_THREAD = """
import os, sys, threading
from images_emulator.imaging.memory import keep_memory, share_arena, trim_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def work():
    keep_memory()
    parts = [b"x" * (100_000 + number) for number in range(200)]
    del parts
    done.set()
    end.wait()

if sys.argv[1:] == ["shared"]:
    share_arena()
done, end, before = threading.Event(), threading.Event(), resident()
thread = threading.Thread(target=work)
thread.start()
done.wait()
trim_memory()
print(resident() - before)
end.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="is about glibc, and only Linux tells")
def test_memory_that_another_thread_has_freed_is_given_back_from_a_shared_arena() -> None:
    def kept(*arguments: str) -> int:
        command = [sys.executable, "-c", _ANOTHER_THREAD, *arguments]
        return int(subprocess.check_output(command, text=True))

    shared = kept("shared")
    assert shared < 5 * MB
    if "glibc" in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        assert kept() > shared + 4 * MB


ARENA_BYTES = 2**26
"""Addresses that glibc reserves for each arena but the first, at a multiple of their number."""


def arenas_in(maps: str) -> list[str]:
    """The arenas in the text of `/proc/PID/maps`: each has a part that is used, and the rest of its
    addresses behind it. The stack of a thread may begin at such a multiple, too."""
    arenas = []
    mappings = [line.split()[:2] for line in maps.splitlines()]
    for (used, rights), (rest, rights_of_rest) in pairwise(mappings):
        start, end = (int(address, 16) for address in used.split("-"))
        next_start, next_end = (int(address, 16) for address in rest.split("-"))
        is_whole = end == next_start and next_end >= start + ARENA_BYTES
        if (rights, rights_of_rest) == ("rw-p", "---p") and is_whole and not start % ARENA_BYTES:
            arenas.append(used)
    return arenas


@pytest.mark.slow
def test_serve_shares_one_arena(measured: Measured) -> None:
    assert not arenas_in(Path(f"/proc/{measured.process.pid}/maps").read_text())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="The arenas are those of glibc.")
def test_threads_have_arenas_where_nothing_is_set() -> None:
    program = """
import threading
begun, end = threading.Barrier(3), threading.Event()
def hold():
    block = bytearray(100_000)
    begun.wait()
    end.wait()
threads = [threading.Thread(target=hold) for _ in range(2)]
for thread in threads:
    thread.start()
begun.wait()
print(open("/proc/self/maps").read(), end="")
end.set()
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert len(arenas_in(done.stdout)) == 2


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collector that would find what nobody holds any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("answer", [{"n": 99}, {"n": 1, "model": "none"}, {"stream": 3}])
def test_refused_calls_leave_no_reference_cycles(
    server: Server, http: httpx2.Client, answer: dict[str, object]
) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "svg": [{}] * 12_347} | answer
    for path in (GENERATIONS, "/openai/v1/images/generations"):
        assert http.post(path, json=body).status_code >= 400
    del body
    server.reset()
    http.get("/v1/models")
    assert not [each for each in gc.get_objects() if type(each) is list and len(each) == 12_347]

"""Figure 20: the emulator's page in Chromium."""

from __future__ import annotations

import shlex
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import time
from typing import TYPE_CHECKING, Final

from benchmarks.calls import SMALL, USUAL, fresh, post
from benchmarks.load import Load
from benchmarks.measure import Bench, Effort, Probe, probe
from benchmarks.servers import (
    GENERATIONS,
    HEALTH,
    TIMEOUT_SECONDS,
    Crowd,
    Process,
    crowd,
    on_cores,
    split_cores,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

ENTRIES: Final = 5_000
"""Calls in the journal that the page opens with."""

FLAGS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")

PAINTED: Final = """
const watch = () => {
  const isThere = document.querySelector(".row");
  requestAnimationFrame(isThere ? () => { window.painted = performance.now(); } : watch);
};
watch();
"""
"""Notes the milliseconds from the beginning of a page to the frame after its first rows."""

SHOWN: Final = """(number) => {
  const row = document.querySelector('.row[aria-posinset="1"]');
  const picture = row?.querySelector("img");
  const isShown = row?.textContent.includes(number) && picture?.complete && picture.naturalWidth;
  return isShown ? Date.now() : 0;
}"""
"""The time at which the newest call shows its picture, if it has that number in its prompt."""


LOADED: Final = """() => document.images.length > 1 &&
  [...document.images].every((each) => each.complete && each.naturalWidth)"""
"""Whether there are pictures, and all of them are loaded."""


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    """Nothing is measured where there is no Chromium, or no Playwright."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra
    except ImportError:
        program = None
    if not program:
        yield []
        return
    flags = ("--journal-entries", str(ENTRIES))
    with (
        sync_playwright() as playwright,
        crowd() as clients,
        Process.emulator(*flags) as full,
        Process.emulator(*flags) as server,
        _apart(playwright, program, effort) as beside,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        for each in (full, server):
            each.ask(HEALTH)
        clients.pictures(full, SMALL, 4, effort.calls(ENTRIES))
        clients.pictures(server, USUAL, 1, 1)
        yield [
            probe("page painted s", lambda: _painted(browser, full)),
            probe("page picture ms", lambda: _picture(browser, server)),
            beside,
        ]
        browser.close()


@contextmanager
def _apart(playwright: Playwright, program: str, effort: Effort) -> Iterator[Probe]:
    """The probe of calls beside an open page, whose browser has a core for itself: client and
    server share the other cores, with and without the page. Where all three shared the cores, the
    figure would depend on their number."""
    others, last = split_cores()
    command = shlex.join(on_cores(last, program))
    with ExitStack() as stack:
        script = Path(stack.enter_context(TemporaryDirectory()), "chromium")
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o700)
        clients = stack.enter_context(crowd(others))
        server = stack.enter_context(
            Process.emulator("--journal-entries", str(ENTRIES), cores=others)
        )
        server.ask(HEALTH)
        clients.pictures(server, USUAL, 1, 1)
        browser = playwright.chromium.launch(executable_path=script, args=FLAGS)
        yield _beside(browser, clients, server, effort)
        browser.close()


def _opened(browser: Browser, server: Process, script: str = "") -> Page:
    """The page, live, in a window of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(script)
    page.goto(f"http://127.0.0.1:{server.port}/_emulator/")
    page.get_by_role("button", name="Live").wait_for()
    return page


def _painted(browser: Browser, server: Process) -> float:
    page = _opened(browser, server, PAINTED)
    milliseconds = page.wait_for_function("() => window.painted").json_value()
    page.context.close()
    return float(milliseconds) / 1000


def _call(server: Process, number: int) -> None:
    """Ask for one picture, with *number* in its prompt."""
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as connection:
        connection.sendall(post(GENERATIONS, USUAL).numbered(number))
        with HTTPResponse(connection) as response:
            response.begin()
            response.read()


def _picture(browser: Browser, server: Process) -> float:
    """Milliseconds from the end of an answer until its picture is on the page."""
    page = _opened(browser, server)
    times = []
    for _ in range(5):
        number = fresh()
        _call(server, number)
        answered = time()
        shown = page.wait_for_function(SHOWN, arg=str(number), polling="raf").json_value()
        times.append(float(shown) - 1000 * answered)
    page.context.close()
    return median(times)


def _processor_seconds(browser: Browser) -> float:
    """What all processes of the browser that are alive have spent since their start."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(float(each["cpuTime"]) for each in processes)


def _beside(browser: Browser, clients: Crowd, server: Process, effort: Effort) -> Probe:
    """The median time of a call of one client, alone and beside an open page, and how much of a
    core the browser takes for that page."""
    wires = {"1024": post(GENERATIONS, USUAL), "repeated": post(GENERATIONS, SMALL)}

    def times(beside: str) -> dict[str, float]:
        taken = {}
        for name, wire in wires.items():
            load = Load(
                port=server.port,
                wire=wire,
                seconds=effort.seconds(2),
                unique=fresh() if name == "1024" else None,
            )
            (tally,) = clients.run(load)
            taken[f"{name} {beside} ms"] = 1000 * median(tally.times or tally.first_times)
        return taken

    def measure() -> dict[str, float]:
        alone = times("alone")
        page = _opened(browser, server)
        page.wait_for_function(LOADED)
        spent, begun = _processor_seconds(browser), time()
        beside = times("beside page")
        part = (_processor_seconds(browser) - spent) / (time() - begun)
        page.context.close()
        return alone | beside | {"page cores": part}

    names = [f"{name} {beside} ms" for name in wires for beside in ("alone", "beside page")]
    return Probe((*names, "page cores"), measure)


PAGE: Final = Bench((20,), _open, linux=True)

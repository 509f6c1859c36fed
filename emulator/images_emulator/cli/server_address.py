"""The server that a command talks to: its address, its admin token, and an API key for it."""

from __future__ import annotations

import argparse
import os
from ipaddress import ip_address
from typing import Any, Final

from images_emulator.admin_client import ServerAddress, parse_address
from images_emulator.cli.configuration import (
    add_config,
    add_setting,
    argument_type,
    read_settings,
    setting_help,
)
from images_emulator.cli.first_process import first_process
from images_emulator.environment import API_KEY, URL_VARIABLE
from images_emulator.listening_socket import http_url
from images_emulator.namespace_names import DEFAULT_NAMESPACE, NAMESPACE_PREFIX, check_name
from images_emulator.settings import all_settings

UNSPECIFIED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - it is replaced
"""The addresses on which a server listens everywhere, each with an address that leads to it from
the same machine."""


def is_loopback(host: str) -> bool:
    """Whether a server that listens on *host*, an address or a name, can only be reached from its
    own machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def add_address(parser: Any) -> None:
    """Add the flags that say which server is meant."""
    group = parser.add_argument_group("which server")
    group.add_argument(
        "--url",
        metavar="URL",
        default=argparse.SUPPRESS,
        help=f"Address of the server, in place of --port [{URL_VARIABLE}]",
    )
    group.add_argument(
        "--namespace",
        metavar="NAME",
        type=argument_type(check_name),
        default=argparse.SUPPRESS,
        help=f"Its namespace, also as {NAMESPACE_PREFIX}NAME in the URL",
    )
    settings = {each.name: each for each in all_settings()}
    add_setting(
        group, settings["port"], short={"port": "-p"}, help="Its port on this machine [8080]"
    )
    add_setting(group, settings["admin_token"], help=setting_help("admin_token"))
    add_config(group)


def server_address(
    *, url: str | None = None, namespace: str | None = None, **flags: Any
) -> ServerAddress:
    """The server that a command means. The first available source decides:

    - the flags of `add_address`
    - the variable `IMAGES_EMULATOR_URL`
    - the container's first process
    - the settings of a `serve` on this machine

    The flag for the namespace goes before a namespace in the URL. Raises ValueError for an address
    that is wrong or unknown.
    """
    address = url or ("port" not in flags and os.environ.get(URL_VARIABLE)) or None
    first = None if address else first_process()
    values = read_settings(**((first.options if first else {}) | flags))
    keys = values["api_key"]
    if address:
        server, named = parse_address(address)
    else:
        server, named = local_url(values["host"], values["port"]), DEFAULT_NAMESPACE
    return ServerAddress(
        url=server,
        token=values["admin_token"],
        key=next(iter(keys), API_KEY),
        is_default=not address and "port" not in flags,
        namespace=namespace or named,
    )


def local_url(host: str, port: int) -> str:
    """The URL that leads from the same machine to a server that listens on *host* and *port*.
    Raises ValueError for port 0."""
    if port == 0:
        raise ValueError("the port of the settings is 0, any free one: name the server by --url")
    return http_url(UNSPECIFIED.get(host, host), port)

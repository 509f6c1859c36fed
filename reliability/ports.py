"""Ports for servers to which the kernel cannot give one."""

from __future__ import annotations

import socket
from random import SystemRandom
from typing import Final

LEAST: Final = 12_000

PAST: Final = 32_000
"""Below the ports that a kernel gives to sockets of port 0: from 32,768 on (Linux) or 49,152 on
(IANA, macOS, Windows). A port of those may be another program's before its server has begun."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port of *host* that nobody has, and that nobody is likely to take."""
    while True:
        port = SystemRandom().randrange(LEAST, PAST)
        try:
            with socket.create_server((host, port)):
                return port
        except OSError:
            continue  # somebody has it


def free_ports(number: int) -> list[int]:
    """So many different ports of this machine that nobody has."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return [*ports]

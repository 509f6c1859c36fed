"""The connections for the URL of a store: to one Redis, to the master that sentinels name, or to a
cluster."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SENTINEL: Final = "+sentinel"
"""The end of the scheme of a URL whose hosts are sentinels. The path of the URL is the name of the
master, and perhaps the number of a database."""

CLUSTER: Final = "+cluster"
"""The end of the scheme of a URL whose hosts are nodes of a cluster."""

DEFAULT_PORT: Final = 6379
"""The port of a node of a cluster whose address has none."""

DEFAULT_SENTINEL_PORT: Final = 26379
"""The port of a sentinel whose address has none."""


SENTINEL_SECONDS: Final = 0.25
"""Seconds that a sentinel may take to accept a connection and to reply, before the next one is
asked. So two of three sentinels may be away within the second that a connection to Redis has."""


class RedisAddress:
    """The URL of a store, taken apart. Raises ValueError for one that redis-py does not know."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        scheme, plus, kind = parts.scheme.partition("+")
        self._kind = plus + kind
        credentials, at, netloc = parts.netloc.rpartition("@")
        hosts, path = netloc.split(","), parts.path
        self._service = ""
        if self._kind == SENTINEL:
            self._service, _, database = path.strip("/").partition("/")
            path = f"/{database}"
        self._hosts = hosts
        self._urls = [
            urlunsplit((scheme, f"{credentials}{at}{host}", path, parts.query, parts.fragment))
            for host in hosts
        ]
        """The URL with each of the hosts alone."""
        self._is_secure = scheme == "rediss"

    @property
    def is_cluster(self) -> bool:
        """Whether a node is to be found for each command."""
        return self._kind == CLUSTER

    def pool(self) -> ConnectionPool:
        """A pool that makes the connections, none of which is open yet."""
        options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "protocol": 2}
        if self._kind == SENTINEL:
            return self._master(**options).connection_pool
        return ConnectionPool.from_url(self._urls[0], **options)

    def cluster(self) -> RedisCluster:
        """A client of the cluster. It sends a command again if the reply was lost. Without these
        retries redis-py does not find the cluster's new nodes, and leaves a connection open. Writes
        of entries, claims and registers still take effect once; tokens may be taken twice."""
        nodes = [ClusterNode(*_host_and_port(host, DEFAULT_PORT)) for host in self._hosts]
        return RedisCluster.from_url(self._urls[0], protocol=2, startup_nodes=nodes)

    def subscriber(self, attempt: int = 0, **options: Any) -> Redis:
        """A client for subscriptions: of the master, or of a node of a cluster. Each node tells
        what is published on any node. Each *attempt* (from 0) takes the next node."""
        options = {"retry": Retry(NoBackoff(), 0), "protocol": 2, **options}
        if self._kind == SENTINEL:
            return self._master(**options)
        return Redis.from_url(self._urls[attempt % len(self._urls)], **options)

    def _master(self, **options: Any) -> Redis:
        """A client of the master that the sentinels name."""
        known: dict[str, Any] = dict(parse_url(self._urls[0]))
        for name in ("host", "port", "connection_class"):
            known.pop(name, None)
        secure = {"ssl": True} if self._is_secure else {}
        # A sentinel that is away must not be waited for.
        asked = {
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": SENTINEL_SECONDS,
            "socket_timeout": SENTINEL_SECONDS,
            **secure,
        }
        sentinels = [_host_and_port(host, DEFAULT_SENTINEL_PORT) for host in self._hosts]
        sentinel: Any = Sentinel(sentinels, sentinel_kwargs=asked)  # type: ignore[no-untyped-call] # it has no types
        master: Redis = sentinel.master_for(self._service, **{**known, **options, **secure})
        return master


async def close_sentinels(pool: ConnectionPool) -> None:
    """Close the connections to the sentinels that *pool* asks, if any."""
    manager: Any = getattr(pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        await sentinel.aclose()


def _host_and_port(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or default_port

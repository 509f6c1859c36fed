"""By which URLs and names a store in Redis is reached, and what is said of those that are none."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import httpx2
import pytest

from images_emulator import Server, Settings
from images_emulator.state.store import ClaimCount
from reliability.ports import free_ports
from tests.redis_server import RedisServer, Sentinel, missing_part, shared_redis, stoppable_redis
from tests.replicas import NOW, RECOVERY_SECONDS, client_with_key, generate, replicas_of
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

http = pytest.fixture(client_with_key)
redis_server = pytest.fixture(stoppable_redis)


def test_password_of_the_store_is_not_shown(http: httpx2.Client) -> None:
    path = shared_redis().url.removeprefix("unix://")
    with Server(store=f"unix://default:@{path}?client_name=secret") as server:
        shown = http.get(f"{server.url}/_emulator/settings").json()
    assert shown["store"] == f"unix://{path}"


@pytest.mark.slow
def test_store_is_reached_by_tcp_and_tls_and_as_a_user(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-days", "2", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    port, tls_port = free_ports(2)
    assert redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}") == b"+OK\r\n"
    assert (
        redis_server.command(
            f"CONFIG SET tls-cert-file {certificate} tls-key-file {key} tls-auth-clients no"
            f" tls-port {tls_port}"
        )
        == b"+OK\r\n"
    )
    redis_server.command("ACL SETUSER tester on >sesame ~images-emulator:* +@all")
    patience = f"?socket_timeout={RECOVERY_SECONDS}"
    for url in (
        f"redis://tester:sesame@127.0.0.1:{port}/2{patience}",
        f"rediss://tester:sesame@localhost:{tls_port}{patience}&ssl_ca_certs={certificate}",
        redis_server.url.replace("unix://", "unix://tester:sesame@") + patience,
    ):
        with Server(store=url, store_name="a") as server:
            server.clock.freeze(NOW)
    for user in ("tester:wrong", "nobody:sesame"):
        with pytest.raises(OSError, match="invalid username-password pair"):
            Server(store=f"redis://{user}@127.0.0.1:{port}{patience}")
    redis_server.command("ACL SETUSER tester -evalsha")
    with pytest.raises(OSError, match="no permissions"):
        Server(store=f"redis://tester:sesame@127.0.0.1:{port}{patience}")


@pytest.mark.slow
def test_store_is_the_master_that_sentinels_name(
    redis_server: RedisServer, http: httpx2.Client, tmp_path: Path
) -> None:
    port, sentinel_port, nobody = free_ports(3)
    redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}")
    sentinel = Sentinel(tmp_path, sentinel_port, "images", port, down_ms=30_000)
    hosts = f"127.0.0.1:{nobody},127.0.0.1:{sentinel_port}"
    try:
        for one, other in replicas_of(f"redis+sentinel://{hosts}/images/0"):
            generate(http, one)
            assert [call.prompt for call in other.requests] == ["x"]
        with pytest.raises(OSError, match=r"No master found for 'others'\.$"):
            Server(store=f"redis+sentinel://127.0.0.1:{sentinel_port}/others")
    finally:
        sentinel.close()
    assert b"images-emulator" in redis_server.command("KEYS *")


async def test_a_subscription_is_made_at_the_node_of_a_cluster_that_is_there(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from images_emulator.state.redis.redis_subscription import messages  # noqa: PLC0415 - an extra

    monkeypatch.setattr("images_emulator.state.redis.redis_subscription.RECONNECT_SECONDS", 0)
    port, nobody = free_ports(2)
    redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}")
    hosts = f"127.0.0.1:{nobody},127.0.0.1:{port}"
    subscription = messages(f"redis+cluster://{hosts}", "channel")
    assert await anext(subscription) is None
    redis_server.command("PUBLISH channel x")
    assert await anext(subscription) == b"x"
    await subscription.aclose()


@pytest.mark.slow
async def test_a_sentinel_that_does_not_reply_is_not_waited_for(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    port, sentinel_port = free_ports(2)
    redis_server.command(f"CONFIG SET bind 127.0.0.1 port {port}")
    sentinel = Sentinel(tmp_path, sentinel_port, "images", port, down_ms=30_000)
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{sentinel_port}"
            store = RedisStore(f"redis+sentinel://{hosts}/images/0")
            assert await store.counters("x").counts(["a"]) == [ClaimCount()]
            await store.disconnect()
    finally:
        sentinel.close()


@pytest.mark.slow
def test_store_is_a_cluster(http: httpx2.Client) -> None:
    port, bus_port, nobody = free_ports(3)
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(bus_port))
    node = RedisServer("--port", str(port), "--bind", "127.0.0.1", *cluster)
    try:
        assert node.command("CLUSTER ADDSLOTSRANGE 0 16383") == b"+OK\r\n"
        until(lambda: b"cluster_state:ok" in node.command("CLUSTER INFO"))
        url = f"redis+cluster://127.0.0.1:{nobody},127.0.0.1:{port}"
        for one, other in replicas_of(url, rate_limit="9/min"):
            one.inject("server_error", times=1)
            assert generate(http, other).status_code == 500
            url = generate(http, one).json()["data"][0]["url"]
            assert http.get(url.replace(one.url, other.url)).status_code == 200
            assert [call.status for call in one.requests] == [500, 200]
            assert [call.status for call in one.downloads] == [200]
            # A node counts only those that watch by that node.
            assert one.emulator.journal._log.is_watched
            node.kill()
            assert generate(http, one, response_format="url").status_code == 503
    finally:
        node.close()


def test_server_does_not_start_without_its_store() -> None:
    with pytest.raises(OSError, match="The store unix:///nowhere/at/all cannot") as error:
        Server(store="unix:///nowhere/at/all")
    assert error.value.strerror


def test_sentinels_need_the_name_of_the_master() -> None:
    with pytest.raises(ValueError, match=r"store: .* the name of the master"):
        Settings(store="redis+sentinel://localhost:26379")


@pytest.mark.parametrize("url", ["redis:", "http://localhost", "localhost:6379", "redis://"])
def test_store_that_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="store: expected a URL that begins with redis://"):
        Settings(store=url)


@pytest.mark.parametrize("port", ["a", "0", "65536"])
def test_store_with_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match=r"store: .*[Pp]ort"):
        Settings(store=f"redis://localhost:{port}")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "{a}", "a" * 65])
def test_store_name_that_could_be_two_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="store_name: expected up to 64 letters"):
        Settings(store_name=name)


def test_store_without_its_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.setting_values.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'openai-images-emulator\[redis\]'"):
        Settings(store="redis://localhost")


def test_address_in_an_error_has_no_password() -> None:
    with pytest.raises(OSError, match="store: ") as error:
        Server(Settings(store="redis://user:secret@127.0.0.1:1/0"))
    assert "secret" not in str(error.value)
    assert "redis://127.0.0.1:1/0" in str(error.value)

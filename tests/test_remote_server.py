"""`RemoteServer`: a namespace of a server in another process, with the methods of `Server`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AuthenticationError, BadRequestError, InternalServerError, OpenAI
from PIL import Image

from images_emulator import RemoteServer, Server
from images_emulator.client_errors import ServerError, UnreachableError
from images_emulator.imaging.decoder import upload_files_of
from images_emulator.remote_server import RemoteClock
from images_emulator.state.clock import Clock
from tests.conftest import KEY
from tests.pictures import opened, png

GENERATION: dict[str, Any] = {"model": "dall-e-2", "prompt": "A fox", "size": "256x256"}


@pytest.fixture
def remote(running: Server) -> Iterator[RemoteServer]:
    with RemoteServer(running.url) as remote:
        yield remote


@pytest.fixture
def sdk(remote: RemoteServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=remote.base_url, api_key=KEY, max_retries=0) as sdk:
        yield sdk


def names(server: Server) -> list[str]:
    listed = httpx2.get(f"{server.url}/_emulator/namespaces").json()["namespaces"]
    return [each["name"] for each in listed]


def parameters(function: Any) -> list[str]:
    return [*inspect.signature(function).parameters]


def test_it_has_the_methods_of_a_server_with_their_parameters() -> None:
    of_processes = {"run", "port", "namespaces", "is_stopping"}
    for name in vars(Server) | vars(Server.__mro__[1]):
        if name.startswith("_") or name in of_processes:
            continue
        assert hasattr(RemoteServer, name) or name == "clock", name
        if callable(getattr(Server, name)):
            assert parameters(getattr(RemoteServer, name)) == parameters(getattr(Server, name))


def test_the_last_call_is_that_of_the_requests(remote: RemoteServer, sdk: OpenAI) -> None:
    assert remote.last_call_id is None
    for _ in range(2):
        sdk.images.generate(**GENERATION)
    assert remote.last_call_id == remote.requests[-1].id


def test_the_last_call_is_no_download(server: Server, client: OpenAI, http: httpx2.Client) -> None:
    assert server.last_call_id is None
    url = (client.images.generate(**GENERATION).data or [])[0].url
    assert url
    http.get(url)
    assert server.last_call_id == server.requests[0].id


def test_its_clock_has_the_methods_of_the_clock() -> None:
    for name in ("frozen", "offset", "now", "advance", "freeze", "resume", "reset"):
        assert hasattr(RemoteClock, name)
        if callable(getattr(Clock, name)):
            assert parameters(getattr(RemoteClock, name)) == parameters(getattr(Clock, name))


def test_calls_are_exchanges_of_its_own_calls(
    remote: RemoteServer, sdk: OpenAI, running: Server
) -> None:
    with OpenAI(base_url=running.base_url, api_key=KEY) as other:
        other.images.generate(**GENERATION)
    sdk.images.generate(**GENERATION, n=2, user="u-1")
    (call,) = remote.requests
    (local,) = running.namespaces._by_name[remote.namespace].emulator.journal.find()
    assert call.id == local.id
    names = ("model", "prompt", "parameters", "status", "image_indexes", "usage", "sdk", "outcome")
    for name in names:
        assert getattr(call, name) == getattr(local, name), name
    assert call.request == local.request
    assert call.body == local.body
    assert (call.path, call.kind) == ("/v1/images/generations", "call")
    assert str(call) == str(local)


def test_calls_have_their_uploads(remote: RemoteServer, sdk: OpenAI) -> None:
    sdk.images.edit(model="gpt-image-1", image=("a.png", png()), prompt="Red")
    (call,) = remote.calls(has="inputs")
    (upload,) = call.uploads
    assert (upload.field, upload.name, upload.bytes) == ("image", "a.png", len(png()))
    assert call.request
    assert upload_files_of(call.request) == [png()]


def test_calls_tell_no_keys_and_are_found_by_them(remote: RemoteServer) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    with OpenAI(base_url=remote.base_url, api_key=key) as client:
        client.images.generate(**GENERATION)
    (call,) = remote.calls(key=key)
    assert remote.calls(key=call.key)
    assert not remote.calls(key=f"{key[:-1]}0")
    assert key not in repr(call.headers)
    text = httpx2.get(f"{remote.url}/_emulator/exchanges").text
    assert "abcdefghij" not in text
    assert "wxyz" in text


def test_calls_are_filtered(remote: RemoteServer, sdk: OpenAI) -> None:
    sdk.images.generate(**GENERATION)
    with pytest.raises(BadRequestError):
        sdk.images.generate(**GENERATION | {"size": "1x1"})
    assert len(remote.calls(model="dall-e-*", prompt="fox")) == 2
    assert [call.status for call in remote.calls(status="4xx")] == [400]
    assert len(remote.verify(times=1, size="256x256")) == 1
    with pytest.raises(AssertionError, match="expected 3 calls with prompt fox; there are 2"):
        remote.verify(times=3, prompt="fox")
    with pytest.raises(TypeError):
        remote.calls(promt="fox")  # type: ignore[call-arg] # what is tested
    for key in (5, [5], {"a": 1}):
        with pytest.raises(ValueError, match="key: expected a text"):
            remote.calls(key=key)  # type: ignore[arg-type] # what is tested
    with pytest.raises(ValueError, match="times"):
        remote.verify(times=-1)


def test_downloads_are_listed(remote: RemoteServer, sdk: OpenAI) -> None:
    answer = sdk.images.generate(**GENERATION)
    assert answer.data
    assert answer.data[0].url
    httpx2.get(answer.data[0].url)
    (download,) = remote.downloads
    assert download.request
    assert download.request.prompt == "A fox"
    assert len(remote.requests) == 1


def test_it_waits_for_a_call_that_is_not_answered_yet(remote: RemoteServer, sdk: OpenAI) -> None:
    remote.inject("latency", seconds=60)
    thread = threading.Thread(target=lambda: sdk.images.generate(**GENERATION))
    thread.start()
    call = remote.wait_for_call(prompt="fox")
    assert (call.status, call.outcome, call.duration_ms) == (None, "waiting", None)
    remote.clock.advance(minutes=1)
    thread.join()
    assert remote.requests[0].outcome == "answered"
    with pytest.raises(TimeoutError, match="no such call within 0 s"):
        remote.wait_for_call(timeout=0, prompt="ship")


def test_its_clock_is_moved(remote: RemoteServer, sdk: OpenAI, server: Server) -> None:
    clock, moment = remote.clock, datetime(2026, 1, 1, tzinfo=UTC)
    clock.freeze(moment)
    assert (clock.frozen, clock.now()) == (True, moment)
    assert sdk.images.generate(**GENERATION).created == moment.timestamp()
    assert remote.requests[0].time == moment
    clock.advance(seconds=1, minutes=2, hours=3)
    assert clock.now() == moment + timedelta(seconds=1, minutes=2, hours=3)
    clock.resume()
    assert clock.offset < timedelta(0)
    clock.reset()
    assert (clock.frozen, clock.offset) == (False, timedelta(0))
    clock.freeze()
    assert clock.offset < timedelta(0)
    assert not server.clock.frozen
    with pytest.raises(ValueError, match="the clock goes from 2000 to 8999"):
        clock.advance(hours=1e9)


def test_faults_are_injected_and_waited_for(remote: RemoteServer, sdk: OpenAI) -> None:
    remote.inject("server_error", match={"prompt": "ship"})
    sdk.images.generate(**GENERATION)
    (step,) = remote.unmet_steps()
    assert str(step) == "injected (server_error) for prompt='ship': no call"
    with pytest.raises(AssertionError, match="these wait for a call:") as raised:
        remote.verify_steps()
    assert "'A fox': the prompt does not have 'ship'" in str(raised.value)
    with pytest.raises(InternalServerError):
        sdk.images.generate(**GENERATION | {"prompt": "A ship"})
    remote.verify_steps()
    remote.inject({"kind": "latency"}, seconds=0.001, times=None)
    sdk.images.generate(**GENERATION)
    sdk.images.generate(**GENERATION)
    assert [call.fault for call in remote.requests[-2:]] == ["latency", "latency"]


def test_a_step_that_met_calls_kept_from_another_is_told(remote: RemoteServer, sdk: OpenAI) -> None:
    remote.inject("latency", seconds=0.001)
    remote.inject("server_error")
    sdk.images.generate(**GENERATION)
    with pytest.raises(AssertionError, match="it met 'latency'"):
        remote.verify_steps()


@pytest.mark.parametrize("fault", ["no such fault", {"kind": "latency", "seconds": "x"}])
def test_wrong_faults_are_refused(remote: RemoteServer, fault: Any) -> None:
    with pytest.raises(ValueError, match="fault"):
        remote.inject(fault)


def test_own_pictures_answer(remote: RemoteServer, sdk: OpenAI, tmp_path: Path) -> None:
    file = tmp_path / "fox.png"
    file.write_bytes(png(colour=(255, 0, 0)))
    remote.answer(str(file), match={"prompt": "file"})
    remote.answer(Image.new("RGB", (8, 8), "blue"), match={"prompt": "Pillow"})
    remote.answer([file, png(colour=(0, 255, 0))], match={"prompt": "list"}, created=7)
    remote.answer(raw={"status": 418, "body": b"\xff\x00"}, match={"prompt": "raw"})

    def corners(prompt: str, **more: Any) -> list[Any]:
        answer = sdk.images.generate(
            model="dall-e-2", prompt=prompt, size="256x256", response_format="b64_json", **more
        )
        pictures = [opened(each.b64_json or "") for each in answer.data or ()]
        return [picture.convert("RGB").getpixel((0, 0)) for picture in pictures]

    assert corners("a file") == [(255, 0, 0)]
    assert corners("Pillow") == [(0, 0, 255)]
    assert corners("a list", n=2) == [(255, 0, 0), (0, 255, 0)]
    raw = httpx2.post(
        f"{remote.base_url}/images/generations",
        json=GENERATION | {"prompt": "raw"},
        headers={"authorization": "Bearer k"},
    )
    assert (raw.status_code, raw.content) == (418, b"\xff\x00")
    assert [call.own_answer for call in remote.requests][:2] == ["fox.png", "image"]


def test_a_function_cannot_answer_in_another_process(remote: RemoteServer) -> None:
    with pytest.raises(ValueError, match="a function answers in its own process"):
        remote.answer(lambda request, index: Image.new("RGB", (8, 8)))


def test_a_file_that_is_not_there_is_told(remote: RemoteServer) -> None:
    with pytest.raises(ValueError, match=r"nothing\.png"):
        remote.answer("nothing.png")


def test_settings_and_scenario_change_until_a_reset(
    remote: RemoteServer, sdk: OpenAI, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "fox.png").write_bytes(png(colour=(255, 0, 0)))
    (tmp_path / "s.toml").write_text(
        '[[steps]]\nanswer = {image = "fox.png"}\n[[steps]]\nfault = "server_error"\n'
    )
    remote.configure(as_of="2026-01-01", validation="lenient")
    assert remote.changeable_settings == {"as_of": "2026-01-01", "validation": "lenient"}
    remote.begin_scenario("s.toml", tmp_path)
    assert len(remote.unmet_steps()) == 2
    with pytest.raises(InternalServerError):
        sdk.images.generate(**GENERATION)
    remote.begin_scenario({"steps": [{"fault": "server_error", "times": 3}]})
    (step,) = remote.unmet_steps()
    assert step.times == 3
    remote.reset_scenario()
    assert remote.unmet_steps() == []
    remote.begin_scenario("outage")
    assert remote.unmet_steps()
    remote.reset()
    assert remote.changeable_settings == server.changeable_settings
    assert (remote.unmet_steps(), remote.requests) == ([], [])
    for wrong in ({"as_of": "never"}, {"validation": "loose"}):
        with pytest.raises(ValueError, match="expected"):
            remote.configure(**wrong)
    with pytest.raises(ValueError, match="no-such-file"):
        remote.begin_scenario("no-such-file.toml")


def test_exchanges_are_saved_and_played(remote: RemoteServer, sdk: OpenAI, tmp_path: Path) -> None:
    sdk.images.generate(**GENERATION)
    sdk.images.generate(**GENERATION | {"prompt": "A ship"})
    paths = remote.save_exchanges(tmp_path, prompt="fox")
    assert len(paths) == 1
    with (
        Server(replay=tmp_path, on_miss="refuse", delay=False) as server,
        OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        client.images.generate(**GENERATION)
        assert server.requests[0].recording


def test_calls_that_are_not_held_are_not_saved(
    remote: RemoteServer, sdk: OpenAI, tmp_path: Path
) -> None:
    remote.inject("latency", seconds=60)
    thread = threading.Thread(target=lambda: sdk.images.generate(**GENERATION))
    thread.start()
    remote.wait_for_call()
    with pytest.warns(UserWarning, match="it is not saved"):
        assert remote.save_exchanges(tmp_path) == []
    remote.clock.advance(minutes=1)
    thread.join()


def test_it_is_deleted_at_the_end(running: Server) -> None:
    with RemoteServer(running.url) as one, RemoteServer(running.url, "mine") as mine:
        assert one.namespace != mine.namespace == "mine"
        for remote in (one, mine):
            remote.clock.freeze()
        assert {one.namespace, "mine"} <= {*names(running)}
        assert mine.url == f"{running.url}/ns/mine"
        assert mine.base_url == f"{mine.url}/v1"
        assert repr(mine) == f"<RemoteServer {mine.url}>"
    assert not {one.namespace, "mine"} & {*names(running)}
    mine.close()


async def test_it_is_deleted_at_the_end_of_async_with(running: Server) -> None:
    async with RemoteServer(running.url) as remote:
        remote.clock.freeze()
        assert remote.namespace in names(running)
    assert remote.namespace not in names(running)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/ns/mine", "/ns/mine/v1"])
def test_the_url_may_be_a_base_url(running: Server, suffix: str) -> None:
    remote = RemoteServer(running.url + suffix)
    assert remote.url.startswith(f"{running.url}/ns/")
    assert (remote.namespace == "mine") == ("mine" in suffix)


def test_the_default_namespace_is_reset_at_the_end(server: Server) -> None:
    with RemoteServer(server.url, "default") as remote:
        assert remote.url == server.url
        with OpenAI(base_url=remote.base_url, api_key=KEY) as client:
            client.images.generate(**GENERATION)
        assert len(server.requests) == 1
    assert server.requests == []


def test_the_admin_token_is_sent() -> None:
    with Server(admin_token="secret") as server:
        with RemoteServer(server.url, admin_token="secret") as remote:
            assert remote.requests == []
        with pytest.raises(ServerError, match="wants its admin token"):
            RemoteServer(server.url).__enter__()


def test_a_server_that_has_gone_is_told() -> None:
    with Server() as server:
        remote = RemoteServer(server.url)
    for ask in (lambda: remote.requests, remote.reset, remote.close, remote.clock.now):
        with pytest.raises(UnreachableError, match="no server answers at"):
            ask()


def test_an_error_of_the_test_goes_before_that_of_a_server_that_has_gone() -> None:
    with Server() as server:
        remote = RemoteServer(server.url).__enter__()
    remote.__exit__(KeyError, KeyError(), None)
    with pytest.raises(UnreachableError):
        remote.__exit__(None, None, None)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://h:0"])
def test_wrong_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected the URL of a server"):
        RemoteServer(url)


@pytest.mark.parametrize("name", ["", " ", "x" * 129, ".."])
def test_wrong_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 128 printable characters"):
        RemoteServer("http://127.0.0.1:1", name)


def test_a_failed_verification_does_not_blame_the_key_that_is_right(
    remote: RemoteServer, sdk: OpenAI
) -> None:
    sdk.images.generate(**GENERATION)
    with pytest.raises(AssertionError) as error:
        remote.verify(key=KEY, size="512x512")
    text = str(error.value)
    assert "size is 256x256, not 512x512" in text
    assert "key is" not in text
    assert "kind" not in text


def test_a_refused_key_is_as_short_as_in_the_process_of_the_server() -> None:
    with Server(api_key="k" * 20) as server, RemoteServer(server.url, "default") as remote:
        key = "sk-SECRET1abcdefghijklmnopQRST"
        with (
            OpenAI(base_url=server.base_url, api_key=key) as client,
            pytest.raises(AuthenticationError),
        ):
            client.images.generate(**GENERATION)
        (call,), (own,) = remote.requests, server.requests
        texts = (call.error, call.answer_body, own.error)
        assert call.error == own.error
        assert not [text for text in texts if "SECR" in str(text)]


def test_calls_of_another_version_are_told(
    remote: RemoteServer, sdk: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk.images.generate(**GENERATION)
    monkeypatch.setattr(
        "images_emulator.web.admin.journal_api.pack_redacted", lambda exchange: {"data": ""}
    )
    with pytest.raises(ServerError, match="cannot read"):
        assert remote.requests


def test_the_admin_api_resets_clock_and_scenario(remote: RemoteServer) -> None:
    wrong = httpx2.post(f"{remote.url}/_emulator/clock", json={"reset": True, "advance": 1})
    assert wrong.status_code == 422
    assert "one of 'advance', 'freeze', 'resume' and 'reset'" in wrong.text

"""The Files API by the official SDK, and edits that refer to a file by its id."""

from __future__ import annotations

import base64
from hashlib import sha256
from io import BytesIO
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Emulator, Server, Settings
from images_emulator.state.clock import Clock
from images_emulator.state.files import Files
from images_emulator.state.store import Store
from tests.pictures import RED, half_clear, png


def test_file_is_stored_until_deleted(client: OpenAI) -> None:
    data = png()
    file = client.files.create(file=("a.png", data, "image/png"), purpose="vision")
    assert (file.filename, file.bytes, file.purpose) == ("a.png", len(data), "vision")
    assert file.id.startswith("file-")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == data
    assert [each.id for each in client.files.list()] == [file.id]
    assert [each.id for each in client.files.list(purpose="batch")] == []
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(file.id)
    assert list(client.files.list()) == []


def test_journal_has_the_description_of_a_file_and_not_its_bytes(
    server: Server, client: OpenAI
) -> None:
    file = client.files.create(file=("a.png", png(), "image/png"), purpose="vision")
    client.files.retrieve(file.id)
    client.files.content(file.id)
    *described, content = server.requests
    assert all(file.id in (call.answer_body or "") for call in described)
    assert content.answer_body is None


def test_a_file_is_described_by_all_keys_that_the_api_documents(
    client: OpenAI, http: httpx2.Client
) -> None:
    file = client.files.create(file=("a.png", png(), "image/png"), purpose="vision")
    described = {
        "object": "file",
        "id": file.id,
        "purpose": "vision",
        "filename": "a.png",
        "bytes": len(png()),
        "created_at": file.created_at,
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }
    assert http.get(f"/v1/files/{file.id}").json() == described
    assert http.get("/v1/files").json() == {
        "object": "list",
        "data": [described],
        "first_id": file.id,
        "last_id": file.id,
        "has_more": False,
    }
    deleted = http.delete(f"/v1/files/{file.id}").json()
    assert deleted == {"object": "file", "id": file.id, "deleted": True}
    none = http.get("/v1/files").json()
    assert (none["data"], none["first_id"], none["last_id"]) == ([], None, None)


def test_keys_that_the_settings_name_have_files_of_their_own() -> None:
    with (
        Server(api_key=["sk-one", "sk-other"]) as server,
        OpenAI(base_url=server.base_url, api_key="sk-one", max_retries=0) as one,
        OpenAI(base_url=server.base_url, api_key="sk-other", max_retries=0) as other,
    ):
        file = one.files.create(file=("a.png", png((64, 64))), purpose="vision")
        assert [each.id for each in one.files.list()] == [file.id]
        assert list(other.files.list()) == []
        for use in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError, match="No such File object"):
                use(file.id)
        body = {"model": "gpt-image-2", "prompt": "x", "images": [{"file_id": file.id}]}
        answers = [
            httpx2.post(
                f"{server.base_url}/images/edits",
                json=body,
                headers={"authorization": f"Bearer {key}"},
            )
            for key in server.settings.api_key
        ]
        assert [answer.status_code for answer in answers] == [200, 404]
        # A step for this file is not for who may not use it.
        server.inject("server_error", match={"image_sha256": sha256(png((64, 64))).hexdigest()})
        headers = {"authorization": "Bearer sk-other"}
        refused = httpx2.post(f"{server.base_url}/images/edits", json=body, headers=headers)
        assert refused.status_code == 404
        headers = {"authorization": "Bearer sk-one"}
        failed = httpx2.post(f"{server.base_url}/images/edits", json=body, headers=headers)
        assert failed.status_code == 500
        assert one.files.delete(file.id).deleted


def test_all_keys_have_the_same_files_where_every_key_is_accepted(server: Server) -> None:
    with (
        OpenAI(base_url=server.base_url, api_key="sk-one") as one,
        OpenAI(base_url=server.base_url, api_key="sk-other") as other,
    ):
        file = one.files.create(file=("a.png", png()), purpose="vision")
        assert other.files.retrieve(file.id) == file


def test_edit_takes_images_and_mask_by_file_id(client: OpenAI, http: httpx2.Client) -> None:
    image = client.files.create(file=("a.png", png((64, 64))), purpose="vision")
    mask = client.files.create(file=("m.png", half_clear((64, 64))), purpose="vision")
    body = {
        "model": "gpt-image-2",
        "prompt": "x",
        "size": "1024x1024",
        "images": [{"file_id": image.id}],
        "mask": {"file_id": mask.id},
    }
    answer = http.post("/v1/images/edits", json=body)
    assert answer.status_code == 200
    picture = Image.open(BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"])))
    assert picture.getpixel((1000, 500)) == RED
    assert picture.getpixel((10, 10)) != RED


def test_file_that_is_no_image_is_refused_at_edits(client: OpenAI, http: httpx2.Client) -> None:
    file = client.files.create(file=("a.txt", b"text"), purpose="user_data")
    body = {"model": "gpt-image-2", "prompt": "x", "images": [{"file_id": file.id}]}
    error = http.post("/v1/images/edits", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_image_file", "images[0].file_id")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"purpose": "vision"}, "'file' is a required property"),
        ({"file": "text", "purpose": "vision"}, "could not understand"),
    ],
)
def test_upload_without_a_file_is_refused(
    http: httpx2.Client, fields: dict[str, str], message: str
) -> None:
    parts = {name: (None, value) for name, value in fields.items()}
    answer = http.post("/v1/files", files=parts)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


def test_upload_with_an_invalid_purpose_is_refused(http: httpx2.Client) -> None:
    file = ("a.png", png(), "image/png")
    error = http.post("/v1/files", files={"file": file}).json()["error"]
    assert error["message"] == "'purpose' is a required property"
    error = http.post("/v1/files", files={"file": file}, data={"purpose": "fun"}).json()["error"]
    assert error["message"].startswith("'fun' is not one of ['fine-tune', ")
    assert http.post("/v1/files", json={}).json()["error"]["code"] == "unsupported_content_type"


@pytest.mark.slow
def test_too_large_file_is_not_stored(http: httpx2.Client) -> None:
    file = ("a.bin", b"\0" * 53_000_000, "image/png")
    answer = http.post("/v1/files", files={"file": file}, data={"purpose": "vision"})
    assert answer.status_code == 413
    assert http.get("/v1/files").json()["data"] == []


def test_reset_deletes_files(client: OpenAI, emulator: Emulator) -> None:
    client.files.create(file=("a.png", png()), purpose="vision")
    emulator.reset()
    assert list(client.files.list()) == []


@pytest.mark.not_on_redis("Redis would hold the same bytes eleven times")
async def test_files_budget_is_512_mb(emulator: Emulator) -> None:
    # The same bytes each time, so that they take memory once.
    data = bytes(50 * 2**20)
    added = [(await emulator.files.add("a", "vision", data)).id for _ in range(11)]
    assert [file.id for file in await emulator.files.all()] == added[1:]


async def test_a_file_without_an_owner_is_for_every_key(
    emulator: Emulator, http: httpx2.Client
) -> None:
    added = await emulator.files.add("a.png", "vision", png())
    assert [file["id"] for file in http.get("/v1/files").json()["data"]] == [added.id]


async def test_the_settings_say_what_files_may_weigh() -> None:
    files = Emulator(Settings(files_bytes=100_000)).files
    added = [await files.add("a", "vision", b"x" * 40_000) for _ in range(4)]
    assert await files.all() == added[2:]


def test_a_file_past_the_budget_is_refused_and_drops_none() -> None:
    headers = {"authorization": "Bearer k"}
    with (
        Server(files_bytes=100_000) as server,
        httpx2.Client(base_url=server.base_url, headers=headers) as http,
    ):

        def upload(size: int) -> httpx2.Response:
            file = {"file": ("a.png", b"x" * size, "image/png")}
            return http.post("/files", data={"purpose": "vision"}, files=file)

        assert upload(90_000).status_code == 200
        refused = upload(100_000)
        assert refused.status_code == 413
        assert "--files-bytes" in refused.headers["x-emulator-notice"]
        assert len(http.get("/files").json()["data"]) == 1


async def test_a_shared_store_describes_files_without_their_data(store: Store) -> None:
    files = Files(Clock(store), store, budget=100_000)
    added = await files.add("a", "vision", b"x" * 40_000)
    described = [await files.describe(added.id), *await files.all()]
    assert described == [added, added]
    assert {each.size for each in described if each} == {40_000}
    whole = await files.get(added.id)
    assert whole
    assert whole.data == added.data
    expected = b"" if store.is_shared else added.data
    assert [each.data for each in described if each] == [expected, expected]
    assert await files.describe("file-unknown") is None


async def test_oldest_files_are_evicted_past_the_budget(store: Store) -> None:
    files = Files(Clock(store), store, budget=100_000)
    added = [await files.add("a", "vision", b"x" * 40_000) for _ in range(4)]
    assert await files.all() == added[2:]


async def test_empty_files_and_file_names_count_against_the_budget(store: Store) -> None:
    files = Files(Clock(store), store, budget=100_000)
    for _ in range(200):
        await files.add("a", "vision", b"")
    assert 50 < len(await files.all()) < 100
    added = [await files.add("ö" * 20_000, "vision", b"") for _ in range(2)]
    assert await files.all() == added[1:]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("purpose", ("a.txt", "x"), "a file"), ("purpose[a]", (None, "x"), "{'a': 'x'}")],
)
def test_purpose_must_be_text(
    http: httpx2.Client, name: str, value: tuple[str | None, str], shown: str
) -> None:
    files: list[tuple[str, Any]] = [("file", ("a.png", png(), "image/png")), (name, value)]
    error = http.post("/v1/files", files=files).json()["error"]
    assert error["message"] == f"{shown} is not of type 'string' - 'purpose'"

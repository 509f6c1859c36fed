"""The admin API: what it tells, what it changes, and the one shape of its errors.

{"error": {"message": …, "type": "emulator_error", "param": …, "code": …}}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from time import monotonic
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.contract import admin_errors
from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operational_errors import AZURE_ERRORS_BY_NAME, ERRORS_BY_NAME
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.exchange.credentials import is_secret
from images_emulator.faults import FAULTS, parse_fault
from images_emulator.setting_definition import Setting
from images_emulator.settings import all_settings
from tests.answers import error_of
from tests.conftest import KEY
from tests.pictures import opened, png


@pytest.fixture
def admin(server: Server) -> Iterator[httpx2.Client]:
    """Plain HTTP without a key."""
    with httpx2.Client(base_url=f"{server.url}/_emulator", timeout=60) as client:
        yield client


def json_of(answer: httpx2.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


# --- the emulator


@pytest.mark.parametrize(
    ("path", "name"),
    [("/health", "status"), ("/version", "version"), ("/models", "gpt-image-2"), ("/clock", "now")],
)
def test_the_admin_api_needs_no_key_and_is_not_journalled(
    admin: httpx2.Client, emulator: Emulator, path: str, name: str
) -> None:
    assert name in json_of(admin.get(path))
    assert len(emulator.journal) == 0


def test_settings_are_shown_with_redacted_secrets() -> None:
    secrets: dict[str, Any] = {
        each.name: f"sk-proj-{each.name}-0123456789" for each in all_settings() if each.secret
    }
    with Server(Settings(port=0, **secrets)) as server:
        headers = {"Authorization": f"Bearer {secrets['admin_token']}"}
        answer = httpx2.get(f"{server.url}/_emulator/settings", headers=headers)
    assert list(json_of(answer)) == [*(each.name for each in all_settings()), "changed"]
    for name, value in secrets.items():
        assert json_of(answer)[name]
        assert value not in answer.text


@pytest.mark.parametrize("setting", all_settings(), ids=lambda setting: setting.name)
def test_a_setting_with_the_name_of_a_credential_is_secret(setting: Setting) -> None:
    assert setting.secret == is_secret(setting.name), "_setting(…, secret=True) hides its value"


def test_as_of_and_validation_change_until_they_are_put_back(
    admin: httpx2.Client, http: httpx2.Client
) -> None:
    def change(**values: str | None) -> tuple[str, str, list[str]]:
        settings = json_of(admin.patch("/settings", json=values))
        assert settings == json_of(admin.get("/settings"))
        return settings["as_of"], settings["validation"], settings["changed"]

    assert change() == ("any", "strict", [])
    assert change(as_of="2026-01-01") == ("2026-01-01", "strict", ["as_of"])
    draw(http, "x", model=NEWEST_MODEL.id)
    assert json_of(admin.get("/requests?status=400"))["total"] == 1
    assert change(validation="lenient") == ("2026-01-01", "lenient", ["as_of", "validation"])
    assert change(as_of=None) == ("any", "lenient", ["validation"])
    json_of(admin.post("/reset"))
    assert json_of(admin.get("/settings"))["changed"] == []


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"as_of": "soon"}, "as_of"),
        ({"as_of": 2026}, "as_of"),
        ({"validation": "easy"}, "validation"),
        ({"as_of": "today", "validation": ""}, "validation"),
    ],
)
def test_an_invalid_change_of_settings_changes_nothing(
    admin: httpx2.Client, change: dict[str, Any], param: str
) -> None:
    error = error_of(admin.patch("/settings", json=change), 422)
    assert (error["param"], error["code"]) == (param, "invalid_value")
    assert json_of(admin.get("/settings"))["changed"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PATCH", "/settings", {"asof": "today"}, "'asof'; 'as_of' is probably meant."),
        ("PATCH", "/settings", {"as_of": "soon", "port": 1}, "'port'. There are: 'as_of' and"),
        ("POST", "/clock", {"freze": "2026-01-01"}, "'freze'; 'freeze' is probably meant."),
        ("POST", "/clock", {"stop": True}, "'stop'. There are: 'advance', 'freeze', "),
        ("POST", "/session", {"tokn": "x"}, "'tokn'; 'token' is probably meant."),
        ("GET", "/requests?stauts=404", None, "'stauts'; 'status' is probably meant."),
        ("GET", "/images?colour=red", None, "'colour'. There are: 'method', "),
    ],
)
def test_a_name_that_there_is_not_is_told_with_those_that_there_are(
    admin: httpx2.Client, method: str, path: str, body: Any, words: str
) -> None:
    error = error_of(admin.request(method, path, json=body), 422)
    assert error["message"].startswith(f"Unknown {words}")
    assert (error["type"], error["code"]) == (admin_errors.ERROR_TYPE, "unknown_parameter")
    assert f"'{error['param']}'" in words
    described = json_of(admin.get("/openapi.json"))["paths"]
    responses = described[f"/_emulator{path.partition('?')[0]}"][method.lower()]["responses"]
    assert "Unknown '{name}'{meant}." in responses["422"]["description"]


def test_hosting_tells_how_many_pictures_there_are_and_when_the_first_expires(
    admin: httpx2.Client, server: Server, client: OpenAI
) -> None:
    assert json_of(admin.get("/hosting")) == {"pictures": 0, "next_expiry": None}
    server.clock.freeze(datetime(2026, 11, 21, tzinfo=UTC))
    client.images.generate(model="dall-e-2", prompt="x", n=2)
    server.clock.advance(minutes=30)
    client.images.generate(model="dall-e-3", prompt="x")
    assert json_of(admin.get("/hosting")) == {"pictures": 3, "next_expiry": "2026-11-21T01:00:00Z"}
    server.clock.advance(minutes=31)
    assert json_of(admin.get("/hosting")) == {"pictures": 1, "next_expiry": "2026-11-21T01:30:00Z"}


def test_faults_are_listed_with_their_settings(admin: httpx2.Client) -> None:
    listed = json_of(admin.get("/faults"))
    faults = {each["kind"]: each for each in listed["faults"]}
    assert [*faults] == [*FAULTS]
    for each in faults.values():
        default = {} if each["kind"] != "error" else {"status": 418}
        values = {field["name"]: field["default"] for field in each["fields"]}
        settings = {name: value for name, value in values.items() if value is not None}
        parse_fault({"kind": each["kind"], **settings, **default})
        assert each["for_downloads"] == FAULTS[each["kind"]].for_downloads
        assert each["for_streams"] == FAULTS[each["kind"]].for_streams
    seconds, _, realistic, _ = faults["latency"]["fields"]
    assert (seconds["type"], seconds["minimum"], seconds["maximum"]) == ("number", 0, 86400)
    assert (realistic["type"], realistic["default"]) == ("boolean", False)
    assert faults["malformed"]["fields"][0]["choices"] == ["json", "base64", "picture"]
    name, status, *_ = faults["error"]["fields"]
    assert (status["type"], status["default"], status["maximum"]) == ("integer", None, 599)
    assert name["choices"] == [each["name"] for each in listed["errors"]] == [*ERRORS_BY_NAME]
    for_azure = [each["name"] for each in listed["errors"] if each["for_azure"]]
    assert for_azure == [*AZURE_ERRORS_BY_NAME]


def test_ready_answers_200_once_the_renderer_is_warm() -> None:
    with Server(Settings(port=0)) as server, httpx2.Client(base_url=server.url) as http:
        end = monotonic() + 60
        while (status := http.get("/_emulator/ready").status_code) == 503:
            assert monotonic() < end
        assert status == 200


def test_ready_answers_200_at_once_where_a_picture_was_drawn(
    admin: httpx2.Client, client: OpenAI
) -> None:
    client.images.generate(model="gpt-image-2", prompt="x", size="1024x1024")
    assert admin.get("/ready").status_code == 200


async def test_ready_answers_503_while_the_renderer_warms_up() -> None:
    emulator, loaded = Emulator(), Event()
    emulator.renderer.pool.executor.submit(loaded.wait)
    transport = httpx2.ASGITransport(create_app(emulator))
    async with httpx2.AsyncClient(transport=transport, base_url="http://emulator") as http:
        answer = await http.get("/_emulator/ready")
    loaded.set()
    emulator.close()
    assert error_of(answer, 503)["code"] == "not_ready"
    assert answer.headers["retry-after"] == "1"


def test_reset_forgets_calls_pictures_clock_and_settings(
    admin: httpx2.Client, emulator: Emulator, client: OpenAI
) -> None:
    url = (client.images.generate(model="dall-e-3", prompt="x").data or [])[0].url or ""
    emulator.clock.freeze(datetime(2030, 1, 1, tzinfo=UTC))
    emulator.configure(as_of="2026-01-01", validation="lenient")
    json_of(admin.post("/reset"))
    assert json_of(admin.get("/requests")) == EMPTY
    assert httpx2.get(url).status_code == 404
    assert not json_of(admin.get("/clock"))["frozen"]
    settings = json_of(admin.get("/settings"))
    assert (settings["as_of"], settings["validation"]) == ("any", "strict")


# --- the clock


def test_the_clock_makes_urls_expire(admin: httpx2.Client, client: OpenAI) -> None:
    url = (client.images.generate(model="dall-e-3", prompt="x").data or [])[0].url or ""
    assert httpx2.get(url).status_code == 200
    json_of(admin.post("/clock", json={"advance": 3661}))
    assert httpx2.get(url).status_code == 403
    json_of(admin.post("/clock", json={"advance": -3661}))
    assert httpx2.get(url).status_code == 200


def test_the_clock_is_frozen_advanced_and_resumed(admin: httpx2.Client) -> None:
    frozen = json_of(admin.post("/clock", json={"freeze": "2026-11-21T00:00:00Z"}))
    assert (frozen["now"], frozen["frozen"]) == ("2026-11-21T00:00:00Z", True)
    shown = json_of(admin.get("/clock"))
    assert (shown["now"], shown["frozen"]) == ("2026-11-21T00:00:00Z", True)
    moved = json_of(admin.post("/clock", json={"advance": 60}))
    assert (moved["now"], moved["frozen"]) == ("2026-11-21T00:01:00Z", True)
    running = json_of(admin.post("/clock", content=b'{"resume": true}'))
    assert running["now"].startswith("2026-11-21T00:01:0")
    assert not running["frozen"]


def test_the_clock_tells_its_offset_from_the_machine(admin: httpx2.Client) -> None:
    assert json_of(admin.get("/clock"))["offset_seconds"] == 0
    moved = json_of(admin.post("/clock", json={"advance": -3600.5}))
    assert moved["offset_seconds"] == -3600.5
    frozen = json_of(admin.post("/clock", json={"freeze": "2000-01-01T00:00:00Z"}))
    away = datetime(2000, 1, 1, tzinfo=UTC) - datetime.now(UTC)
    assert -1 < frozen["offset_seconds"] - away.total_seconds() < 60


@pytest.mark.parametrize(
    ("move", "param"),
    [
        (b'{"advance": "x"}', "advance"),
        (b'{"advance": "5"}', "advance"),
        (b'{"advance": true}', "advance"),
        (b'{"advance": 1e300}', "advance"),
        (b'{"advance": -1e12}', "advance"),
        (b'{"freeze": "yesterday"}', "freeze"),
        (b'{"freeze": "0001-01-01T00:00:00+14:00"}', "freeze"),
        (b'{"resume": false}', "resume"),
        (b'{"advance": 1, "resume": true}', "body"),
        (b"{}", "body"),
    ],
)
def test_an_invalid_clock_move_is_refused(admin: httpx2.Client, move: bytes, param: str) -> None:
    error = error_of(admin.post("/clock", content=move), 422)
    assert (error["param"], error["code"]) == (param, "invalid_value")


# --- the journal


def draw(http: httpx2.Client, *prompts: str, model: str = "gpt-image-2") -> None:
    for prompt in prompts:
        http.post(GENERATIONS.path, json={"model": model, "prompt": prompt, "n": 2})


EMPTY = {"requests": [], "total": 0, "dropped": 0, "counts": None}


def prompts_of(answer: httpx2.Response) -> list[str]:
    return [each["prompt"] for each in json_of(answer)["requests"]]


def test_calls_are_paged(http: httpx2.Client, admin: httpx2.Client) -> None:
    for prompt in "abcde":
        http.post(GENERATIONS.path, json={"model": "dall-e-3", "prompt": prompt, "n": 9})
    everything = json_of(admin.get("/requests"))
    assert everything["total"] == 5
    assert prompts_of(admin.get("/requests?limit=2")) == ["d", "e"]
    ids = [each["id"] for each in everything["requests"]]
    assert prompts_of(admin.get(f"/requests?limit=2&since={ids[0]}")) == ["b", "c"]
    assert prompts_of(admin.get(f"/requests?limit=2&before={ids[4]}")) == ["c", "d"]
    assert json_of(admin.get(f"/requests?since={ids[4]}")) == EMPTY


def test_calls_are_filtered(http: httpx2.Client, admin: httpx2.Client) -> None:
    draw(http, "a cat")
    draw(http, "a dog", model="no-such-model")
    assert prompts_of(admin.get("/requests?status=400&prompt=dog&method=POST")) == ["a dog"]
    assert prompts_of(admin.get("/requests?model=gpt-image-2&path=*/generations")) == ["a cat"]
    assert prompts_of(admin.get("/requests?key=sk-other")) == []
    assert prompts_of(admin.get("/requests?status=4xx&status=500&has=mask&has=picture")) == []
    assert prompts_of(admin.get("/requests?prompt=CAT&prompt=dog&outcome=refused")) == ["a dog"]
    assert prompts_of(admin.get("/requests?text=does+not+exist&model=no-*")) == ["a dog"]
    assert json_of(admin.get("/images?prompt=DOG&prompt=cat"))["total"] == 2


def test_requests_are_deleted(http: httpx2.Client, admin: httpx2.Client) -> None:
    http.get("/v1/models")
    assert json_of(admin.delete("/requests")) == {"deleted": 1}
    assert json_of(admin.get("/requests"))["total"] == 0


def test_a_request_is_shown_with_its_body_and_files(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    picture = png((30, 20))
    request = http.build_request(
        "POST",
        EDITS.path,
        data={"model": "gpt-image-2", "prompt": "x"},
        files={"image": ("a.png", picture, "image/png")},
    )
    sent, answer = request.read(), http.send(request)
    detail = json_of(admin.get(f"/requests/{answer.headers['x-request-id']}"))
    url = f"/_emulator/requests/{detail['id']}/uploads/0"
    assert detail["uploads"] == [
        {
            "field": "image",
            "name": "a.png",
            "source": "form",
            "type": "image/png",
            "bytes": len(picture),
            "pixels": [30, 20],
            "url": url,
            "thumbnail": f"{url}/thumbnail/96",
        }
    ]
    assert detail["headers"]["authorization"] == f"Bearer {KEY}"
    assert detail["body"] is None
    base = str(admin.base_url).partition("/_emulator")[0]
    assert admin.get(base + detail["body_url"]).content == sent
    file = admin.get(base + detail["uploads"][0]["url"])
    assert (file.content, file.headers["content-type"]) == (picture, "image/png")
    drawn = admin.get(base + detail["pictures"][0]["url"])
    assert drawn.headers["content-security-policy"] == "sandbox"
    assert opened(drawn.content) == opened(answer.json()["data"][0]["b64_json"])


def test_an_html_upload_is_served_as_octet_stream(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    answer = http.post(EDITS.path, files={"image": ("a.html", b"<script>1</script>", "text/html")})
    file = admin.get(f"/requests/{answer.headers['x-request-id']}/uploads/0")
    assert file.headers["content-type"] == "application/octet-stream"


def test_pictures_are_listed_with_the_calls_that_they_answer(
    http: httpx2.Client, admin: httpx2.Client
) -> None:
    draw(http, "a cat", "a dog", "")
    gallery = json_of(admin.get("/images?prompt=dog"))
    assert gallery["total"] == 2
    assert [each["prompt"] for each in gallery["images"]] == ["a dog", "a dog"]
    base = str(admin.base_url).partition("/_emulator")[0]
    pictures = [opened(admin.get(base + each["url"]).content) for each in gallery["images"]]
    assert pictures[0].size == (1254, 1254)
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("path", ["", "/body", "/uploads/0", "/code/curl"])
def test_an_unknown_request_is_404(admin: httpx2.Client, path: str) -> None:
    assert error_of(admin.get(f"/requests/req_x{path}"), 404)["code"] == "not_found"


@pytest.mark.parametrize("part", ["requests/{}/body", "requests/{}/uploads/0", "images/{}/0"])
def test_an_unknown_part_of_a_request_is_404(
    http: httpx2.Client, admin: httpx2.Client, part: str
) -> None:
    identity = http.get("/v1/models").headers["x-request-id"]
    assert error_of(admin.get(f"/{part.format(identity)}"), 404)["code"] == "not_found"


# --- errors and documents


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/requests/", 404, "not_found"),
        ("PUT", "/clock", 405, "method_not_allowed"),
        ("GET", "/reset", 405, "method_not_allowed"),
        ("GET", "/requests?limit=0", 422, "invalid_value"),
        ("GET", "/requests?limit=1001", 422, "invalid_value"),
        ("GET", "/requests?status=x", 422, "invalid_value"),
        ("GET", "/requests?status=200&status=x", 422, "invalid_value"),
        ("GET", "/requests?kind=x", 422, "invalid_value"),
        ("GET", "/requests?outcome=x", 422, "invalid_value"),
        ("GET", "/images?has=x", 422, "invalid_value"),
        ("GET", "/requests?counts=x", 422, "invalid_value"),
        ("GET", "/requests?colour=red", 422, "unknown_parameter"),
        ("GET", "/requests?since=req_x", 404, "not_found"),
        ("GET", "/images?before=req_x", 404, "not_found"),
        ("GET", "/images/req_x/-1", 404, "not_found"),
        ("GET", "/images/req_x/one", 422, "invalid_value"),
    ],
)
def test_errors_have_one_shape(
    admin: httpx2.Client, method: str, path: str, status: int, code: str
) -> None:
    error = error_of(admin.request(method, path), status)
    assert (error["code"], error["type"]) == (code, admin_errors.ERROR_TYPE)


def routes(admin: httpx2.Client) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The path, the method and the description of each route in the OpenAPI document."""
    for path, methods in json_of(admin.get("/openapi.json"))["paths"].items():
        for method, description in methods.items():
            yield path, method, description


@pytest.mark.slow
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"x"', b"[" * 10_000])
def test_nonsense_is_never_a_server_error(admin: httpx2.Client, body: bytes) -> None:
    for path, method, _ in routes(admin):
        # An answer without end is not read.
        with admin.stream(method, path.removeprefix("/_emulator"), content=body) as answer:
            assert answer.status_code in (200, 204, 400, 404, 422, 503), f"{method} {path}"
            if answer.status_code >= 400:
                answer.read()
                error_of(answer, answer.status_code)


def test_a_path_that_only_begins_like_the_admin_api_is_a_call(
    http: httpx2.Client, emulator: Emulator
) -> None:
    assert http.get("/_emulators").content == b""
    assert len(emulator.journal) == 1


def test_the_docs_page_has_a_strict_content_security_policy(admin: httpx2.Client) -> None:
    policy = admin.get("/docs").headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_each_route_is_described_in_the_document_and_on_the_page(admin: httpx2.Client) -> None:
    page = admin.get("/docs").text
    for path, method, description in routes(admin):
        assert description["description"], f"{method} {path}"
        assert path in page
    assert "//" not in page

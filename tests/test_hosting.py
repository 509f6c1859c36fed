"""Pictures by URL: an hour of life, a signature, and a bound on memory."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx2
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Emulator, Server, Settings
from images_emulator.contract import blob_storage
from images_emulator.contract.blob_storage import StorageError, error_in_place_of
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.decoder import add_and_weigh_holder
from images_emulator.state.account import CODEC, random_account
from images_emulator.state.clock import Clock
from images_emulator.state.hosted_picture import HostedPicture, hosted_pictures, mean_weight
from images_emulator.state.hosting import Hosting
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.store import Codec, Packed, Store
from tests.pictures import encoded, half_clear, opened, png

NUMBER: Codec[int] = Codec(
    lambda number: Packed({"number": number}), lambda packed: int(packed.document["number"])
)
URL = re.compile(
    r"http://127\.0\.0\.1:\d+/private/org-\w{24}/user-\w{24}/img-\w{24}\.png"
    r"\?st=(\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\dZ)&se=(\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\dZ)&sp=r"
    r"&sv=2026-02-06&sr=b&rscd=inline&rsct=image/png&skoid=[\w-]{36}"
    r"&sktid=a48cca56-e6da-484e-a814-9c849652bcb3&skt=[\w%-]+&ske=[\w%-]+&sks=b&skv=2026-02-06"
    r"&sig=[\w/%]+%3D"
)


def published(client: OpenAI, **parameters: str) -> str:
    response = client.images.generate(prompt="a lighthouse", model="dall-e-3", **parameters)  # type: ignore[call-overload]
    url = response.data[0].url
    assert isinstance(url, str)
    return url


def test_a_url_has_the_shape_of_the_recorded_ones(client: OpenAI) -> None:
    match = URL.fullmatch(published(client))
    assert match
    start, end = (datetime.fromisoformat(stamp.replace("%3A", ":")) for stamp in match.groups())
    assert end - start == timedelta(hours=2)
    assert abs(start + timedelta(hours=1) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_url_whose_parameters_were_moved_into_its_path_is_refused(client: OpenAI) -> None:
    """The signature is of the path and the parameters behind it, a line each."""
    base, _, query = published(client).partition("?")
    pairs = sorted(unquote(each) for each in query.split("&"))
    signature = next(pair for pair in pairs if pair.startswith("sig="))
    rest = [pair for pair in pairs if pair != signature]
    for count in range(1, len(rest) + 1):
        path = base + "".join(f"%0A{quote(pair)}" for pair in rest[:count])
        left = "&".join(
            f"{name}={quote(value, safe='')}"
            for name, _, value in (pair.partition("=") for pair in [*rest[count:], signature])
        )
        answer = httpx2.get(f"{path}?{left}")
        assert answer.status_code in (403, 404)
        assert answer.headers["content-type"] == "application/xml"


def test_a_hosted_picture_needs_no_key_and_has_the_same_bytes_each_time(client: OpenAI) -> None:
    url = published(client)
    answers = [httpx2.get(url) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["content-type"] for answer in answers} == {"image/png"}
    assert answers[0].content == answers[1].content
    assert opened(answers[0].content).size == (1024, 1024)


@pytest.mark.slow
def test_url_and_base64_give_the_same_picture(client: OpenAI) -> None:
    image = ("a.png", half_clear(), "image/png")
    by_url = client.images.edit(model="dall-e-2", image=image, prompt="x", n=2)
    inline = client.images.edit(
        model="dall-e-2", image=image, prompt="x", n=2, response_format="b64_json"
    )
    for linked, carried in zip(by_url.data or [], inline.data or [], strict=True):
        hosted = opened(httpx2.get(linked.url or "").content)
        assert hosted.tobytes() == opened(carried.b64_json).tobytes()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("exists", [True, False])
def test_the_blob_store_allows_get_and_head_only(
    server: Server, client: OpenAI, method: str, *, exists: bool
) -> None:
    url = published(client) if exists else f"{server.url}/private/nothing.png"
    answer = httpx2.request(method, url, content=b"x" * 100_000)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["x-ms-error-code"] == "UnsupportedHttpVerb"
    assert "<Code>UnsupportedHttpVerb</Code>" in answer.text
    assert not [name for name in answer.headers if name.startswith("openai-")]


def test_a_url_expires_after_an_hour_of_the_clock(client: OpenAI, emulator: Emulator) -> None:
    url = published(client)
    emulator.clock.advance(minutes=59)
    assert httpx2.get(url).status_code == 200
    emulator.clock.advance(minutes=2)
    answer = httpx2.get(url)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["x-ms-error-code"] == "AuthenticationFailed"
    error = ET.fromstring(answer.content)  # noqa: S314 - our own server's
    assert error.findtext("Code") == "AuthenticationFailed"
    detail = error.findtext("AuthenticationErrorDetail")
    assert detail
    assert re.fullmatch(
        r"Signature not valid in the specified time frame: "
        r"Start \[.+ GMT\] - Expiry \[.+ GMT\] - Current \[.+ GMT\]",
        detail,
    )


def test_a_url_is_valid_from_its_start_to_its_expiry(client: OpenAI, emulator: Emulator) -> None:
    emulator.clock.freeze(datetime(2026, 11, 1, 12, tzinfo=UTC))
    url = published(client)
    statuses = []
    for seconds in (-3601, 1, 7200, 1):
        emulator.clock.advance(seconds=seconds)
        answer = httpx2.get(url)
        statuses.append(answer.status_code)
        if answer.status_code != 200:
            assert "Signature not valid in the specified time frame: Start [" in answer.text
    assert statuses == [403, 200, 200, 403]


@pytest.mark.parametrize(
    ("part", "other"),
    [("sig=", "sig=A"), ("&se=20", "&se=21"), ("img-", "img-x"), ("?", "?x=1&"), ("&sp=r", "")],
)
def test_a_url_with_a_wrong_signature_is_refused(client: OpenAI, part: str, other: str) -> None:
    url = published(client)
    assert part in url
    answer = httpx2.get(url.replace(part, other))
    assert answer.status_code == 403
    assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?><Error><Code>')


DENIED = (
    403,
    "AuthenticationFailed",
    "Server failed to authenticate the request. Make sure the value of Authorization header is "
    "formed correctly including the signature.",
)
BUSY = (
    503,
    "ServerBusy",
    "The server is currently unable to receive requests. Please retry your request.",
)
BROKEN = (
    "InternalError",
    "The server encountered an internal error. Please retry the request.",
)
MISSING = (404, "BlobNotFound", "The specified blob does not exist.")
ONLY_GET = (405, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.")
NOT_PUBLIC = (
    409,
    "PublicAccessNotPermitted",
    "Public access is not permitted on this storage account.",
)
START, EXPIRY = "2026-11-26T00:00:00Z", "2026-11-26T02:00:00+01:00"
NOW = datetime(2026, 11, 26, 1, 2, 3, 45_678, tzinfo=UTC)


def in_place_of(status: int) -> StorageError:
    """The error where the API would answer with *status*, in the store's words alone."""
    return error_in_place_of(status, None, None, {})


@pytest.mark.parametrize(
    ("error", "facts", "detail"),
    [
        (blob_storage.unsigned_url(), NOT_PUBLIC, None),
        (blob_storage.signature_mismatch(), DENIED, "Signature did not match."),
        (
            blob_storage.outside_validity(START, EXPIRY, NOW),
            DENIED,
            "Signature not valid in the specified time frame: Start [Thu, 26 Nov 2026 00:00:00 "
            "GMT] - Expiry [Thu, 26 Nov 2026 01:00:00 GMT] - Current [Thu, 26 Nov 2026 01:02:03 "
            "GMT]",
        ),
        (
            blob_storage.outside_validity(None, EXPIRY, NOW),
            DENIED,
            "Signed expiry time [Thu, 26 Nov 2026 01:00:00 GMT] must be after signed start time "
            "[Thu, 26 Nov 2026 01:02:03 GMT]",
        ),
        (blob_storage.blob_not_found(), MISSING, None),
        (blob_storage.unsupported_verb(), ONLY_GET, None),
        (
            blob_storage.invalid_range(9),
            (
                416,
                "InvalidRange",
                "The range specified is invalid for the current size of the resource.",
            ),
            None,
        ),
        (
            blob_storage.preflight_failure(),
            (
                403,
                "CorsPreflightFailure",
                "CORS not enabled or no matching rule found for this request.",
            ),
            None,
        ),
        *(
            (
                in_place_of(status),
                (status, "InvalidInput", "One of the request inputs is not valid."),
                None,
            )
            for status in (400, 402, 499)
        ),
        *((in_place_of(status), DENIED, None) for status in (401, 403)),
        (in_place_of(404), MISSING, None),
        (in_place_of(405), ONLY_GET, None),
        (in_place_of(409), NOT_PUBLIC, None),
        *((in_place_of(status), BUSY, None) for status in (429, 503)),
        *((in_place_of(status), (status, *BROKEN), None) for status in (500, 501, 599)),
        (error_in_place_of(500, "a&b", "a < 'b'", {}), (500, "a&amp;b", "a &lt; 'b'"), None),
    ],
)
def test_an_error_of_the_blob_store_is_this_document(
    error: StorageError, facts: tuple[int, str, str], detail: str | None
) -> None:
    status, code, message = facts
    more = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
    assert error.status == status
    assert error.body("an-id", NOW) == (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}\n'
        f"RequestId:an-id\nTime:2026-11-26T01:02:03.0456780Z</Message>{more}</Error>"
    )


def test_errors_of_the_blob_store_have_the_headers_of_their_service() -> None:
    names = ("retry-after", "retry-after-ms")
    waits = dict.fromkeys(names, "2")
    error = error_in_place_of(429, None, None, {**waits, "www-authenticate": "Bearer"})
    assert error.answer_headers("an-id") == {
        "Server": "Microsoft-HTTPAPI/2.0",
        "x-ms-request-id": "an-id",
        **waits,
        "x-ms-error-code": "ServerBusy",
    }
    assert blob_storage.unsigned_url().answer_headers("an-id") == {
        "Server": "Blob Service Version 1.0 Microsoft-HTTPAPI/2.0",
        "x-ms-request-id": "an-id",
    }


def test_a_part_of_a_hosted_picture_can_be_asked_for(client: OpenAI) -> None:
    url = published(client)
    whole = httpx2.get(url)
    size = len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    for text, first, last in (
        ("bytes=0-511", 0, 511),
        ("bytes=100-", 100, size - 1),
        (f"bytes={size - 1}-{size + 5}", size - 1, size - 1),
    ):
        for name in ("Range", "x-ms-range"):
            part = httpx2.get(url, headers={name: text})
            assert part.status_code == 206
            assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
            assert part.content == whole.content[first : last + 1]
            assert part.headers["content-type"] == "image/png"
    assert httpx2.head(url, headers={"Range": "bytes=0-1"}).status_code == 200
    for text in ("bytes=5-1", "bytes=-5", "bytes=0-1,3-4", "lines=0-1"):
        answer = httpx2.get(url, headers={"Range": text})
        assert (answer.status_code, answer.content) == (200, whole.content)
    for text in (f"bytes={size + 1}-", f"bytes={size + 9}-{size + 99}"):
        assert httpx2.get(url, headers={"Range": text}).status_code == 416
    behind = httpx2.get(url, headers={"Range": f"bytes={size}-"})
    assert behind.status_code == 416
    assert behind.headers["x-ms-error-code"] == "InvalidRange"
    assert behind.headers["content-range"] == f"bytes */{size}"
    assert "invalid for the current size of the resource" in behind.text


def test_a_hosted_picture_tells_its_version(client: OpenAI, emulator: Emulator) -> None:
    emulator.clock.freeze(datetime(2026, 11, 1, 12, tzinfo=UTC))
    url, other = published(client), published(client)
    answer = httpx2.get(url)
    assert answer.headers["last-modified"] == "Sun, 01 Nov 2026 12:00:00 GMT"
    assert answer.headers["content-disposition"] == "inline"
    tag = answer.headers["etag"]
    assert re.fullmatch(r'"0x8[0-9A-F]{14}"', tag)
    assert tag != httpx2.get(other).headers["etag"]

    def status(**headers: str) -> int:
        conditions = {name.replace("_", "-"): value for name, value in headers.items()}
        again = httpx2.get(url, headers=conditions)
        if again.status_code == 304:
            assert again.content == b""
            assert again.headers["etag"] == tag
        return again.status_code

    older, now = "Sun, 01 Nov 2026 11:59:59 GMT", "Sun, 01 Nov 2026 12:00:00 GMT"
    assert [status(if_none_match=each) for each in (tag, f'"x", {tag}', "*", '"x"')] == [
        *(304, 304, 304, 200)
    ]
    beyond = "Sun, 01 Nov 2026 12:00:00 +99999999999999"
    since = (now, older, "x", beyond)
    assert [status(if_modified_since=each) for each in since] == [304, 200, 200, 200]
    assert status(if_none_match='"x"', if_modified_since=now) == 200


def test_a_hosted_picture_of_azure_was_created_a_day_before_it_expires(
    server: Server, emulator: Emulator
) -> None:
    emulator.clock.freeze(datetime(2026, 11, 1, 12, tzinfo=UTC))
    answer = httpx2.post(
        f"{server.url}/openai/deployments/dall-e-3/images/generations",
        params={"api-version": "2024-02-01"},
        headers={"api-key": "x"},
        json={"prompt": "x"},
    )
    picture = httpx2.get(answer.json()["data"][0]["url"])
    assert picture.headers["last-modified"] == "Sun, 01 Nov 2026 12:00:00 GMT"
    assert "content-disposition" not in picture.headers


@pytest.mark.parametrize("query", ["", "?", "?se=2026-01-01T00%3A00%3A00Z&sp=r", "?sig="])
def test_a_url_without_its_signature_is_not_public(client: OpenAI, query: str) -> None:
    answer = httpx2.get(published(client).partition("?")[0] + query)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["server"] == "Blob Service Version 1.0 Microsoft-HTTPAPI/2.0"
    identity = answer.headers["x-ms-request-id"]
    assert re.fullmatch(
        r'<\?xml version="1\.0" encoding="utf-8"\?><Error><Code>PublicAccessNotPermitted</Code>'
        r"<Message>Public access is not permitted on this storage account\.\n"
        rf"RequestId:{identity}\nTime:\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{7}}Z</Message></Error>",
        answer.text,
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_unknown_hosted_picture_is_refused_like_an_unsigned_url(
    server: Server, method: str
) -> None:
    answer = httpx2.request(method, f"{server.url}/private/org-x/user-x/img-x.png")
    assert answer.status_code == 409


def test_a_url_names_the_host_that_the_client_called(http: httpx2.Client, server: Server) -> None:
    answer = http.post(
        "/v1/images/generations", json={"prompt": "x"}, headers={"Host": "images.test:8080"}
    )
    assert answer.json()["data"][0]["url"].startswith("http://images.test:8080/private/")


@pytest.mark.parametrize(
    ("forwarded", "base"),
    [
        ({"X-Forwarded-Proto": "https"}, "https://images.test"),
        ({"X-Forwarded-Proto": "HTTPS, http"}, "https://images.test"),
        ({"X-Forwarded-Proto": "gopher"}, "http://images.test"),
        ({"X-Forwarded-Host": "out.test:8443"}, "http://out.test:8443"),
        ({"X-Forwarded-Host": "out.test, in.test"}, "http://out.test"),
        ({"X-Forwarded-Host": "out.test/a?b#"}, "http://images.test"),
        ({"X-Forwarded-Host": "[::1]:80", "X-Forwarded-Port": "99"}, "http://[::1]:80"),
        ({"X-Forwarded-Port": "8443"}, "http://images.test"),
        ({"Forwarded": "for=1.2.3.4;Proto=https;HOST=out.test"}, "https://out.test"),
        ({"Forwarded": 'host="[::1]:8443" ; proto=https, host=in.test'}, "https://[::1]:8443"),
        ({"Forwarded": 'for="a,b;c", host=in.test'}, "http://images.test"),
        ({"Forwarded": '=;,"', "X-Forwarded-Proto": "https"}, "https://images.test"),
        ({"Forwarded": "host=a.test", "X-Forwarded-Host": "b.test"}, "http://a.test"),
    ],
)
def test_a_url_has_the_scheme_and_the_host_that_a_proxy_names(
    http: httpx2.Client, forwarded: dict[str, str], base: str
) -> None:
    headers = {"Host": "images.test", **forwarded}
    answer = http.post("/v1/images/generations", json={"prompt": "x"}, headers=headers)
    assert answer.json()["data"][0]["url"].startswith(f"{base}/private/")


def test_urls_begin_with_the_public_url() -> None:
    settings = Settings(port=0, public_url="https://images.test/base/")
    with Server(settings) as server, OpenAI(base_url=server.base_url, api_key="x") as client:
        assert published(client).startswith("https://images.test/base/private/")


def test_a_variation_keeps_its_source_for_the_url(client: OpenAI) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        response = client.images.create_variation(image=png(), size="256x256")
    assert response.data
    assert opened(httpx2.get(response.data[0].url or "").content).size == (256, 256)


def parts(url: str) -> tuple[str, str]:
    split = urlsplit(url)
    return split.path, split.query


def hosting_of_numbers(clock: Clock, store: Store, budget: int = 100) -> Hosting[int]:
    return Hosting(clock, store, store.register("account", random_account(), CODEC), NUMBER, budget)


async def test_past_the_budget_the_oldest_hosted_pictures_go(store: Store) -> None:
    clock = Clock(store)
    hosting = hosting_of_numbers(clock, store)
    urls, stored = hosting.publish(range(5), 30, clock.now())
    await stored
    assert [await hosting.find(*parts(url)) for url in urls[2:]] == [2, 3, 4]
    for url in urls[:2]:
        with pytest.raises(StorageError) as refused:
            await hosting.find(*parts(url))
        assert (refused.value.status, refused.value.code) == (404, "BlobNotFound")


async def test_all_hosted_pictures_together_may_weigh_128_mb(emulator: Emulator) -> None:
    request = ImageRequest(
        operation=GENERATIONS, model=MODELS["dall-e-2"], prompt="x", size=(256, 256)
    )
    now = emulator.clock.now()
    hosting = emulator.hosting
    pictures = [HostedPicture(request, index) for index in range(129)]
    urls, stored = hosting.publish(pictures, 2**20, now)
    await stored
    with pytest.raises(StorageError, match="does not exist"):
        await hosting.find(*parts(urls[0]))
    indexes = [(await hosting.find(*parts(url))).index for url in urls[1:]]
    assert indexes == [*range(1, 129)]


def test_the_settings_say_what_hosted_pictures_may_weigh() -> None:
    request = ImageRequest(
        operation=GENERATIONS, model=MODELS["dall-e-2"], prompt="x", size=(256, 256)
    )
    with (
        Server(hosted_bytes=3 * add_and_weigh_holder(request)) as server,
        OpenAI(base_url=server.base_url, api_key="sk-test") as client,
    ):
        urls = []
        for _ in range(4):
            answer = client.images.generate(model="dall-e-2", prompt="x", size="256x256")
            urls += [picture.url for picture in answer.data or []]
        assert [httpx2.get(url or "").status_code for url in urls] == [404, 200, 200, 200]


def test_pictures_of_one_answer_take_its_uploads_once() -> None:
    image = encoded(Image.effect_noise((300, 300), 80).convert("RGB"))
    with (
        Server(hosted_bytes=4 * len(image)) as server,
        OpenAI(base_url=server.base_url, api_key="sk-test") as client,
    ):
        with pytest.warns(DeprecationWarning, match="deprecated"):
            answers = [
                client.images.create_variation(image=image, n=10, size="256x256") for _ in range(2)
            ]
        urls = [picture.url or "" for each in answers for picture in each.data or []]
        # Redis has a copy of the upload for each picture.
        expected = 404 if server.emulator.store.is_shared else 200
        assert httpx2.get(urls[0]).status_code == expected
        assert httpx2.get(urls[-1]).status_code == 200


@pytest.mark.parametrize("copied", [True, False])
def test_each_hosted_picture_of_an_answer_has_its_own_file_alone(*, copied: bool) -> None:
    files = [OwnPicture(png() + bytes(size)) for size in (10_000, 20_000)]
    request = ImageRequest(
        operation=GENERATIONS,
        model=MODELS["dall-e-2"],
        prompt="x",
        size=(256, 256),
        n=3,
        own_pictures=tuple(files),
    )
    pictures = hosted_pictures(request)
    assert [each.request.own_pictures for each in pictures] == [
        (files[0],),
        (files[1],),
        (files[0],),
    ]
    weight = mean_weight(pictures, are_copied=copied)
    texts = add_and_weigh_holder(replace(request, own_pictures=None))
    bytes_of_files = sum(files[index].weight for index in (0, 1, 0))
    if copied:
        assert weight * 3 <= 3 * texts + bytes_of_files <= weight * 3 + 3
    assert weight <= texts + bytes_of_files // 3


async def test_an_expired_picture_goes_when_another_is_published() -> None:
    store = MemoryStore()
    clock = Clock(store)
    hosting = hosting_of_numbers(clock, store)
    (url,), stored = hosting.publish([1], 1, clock.now())
    await stored
    clock.advance(hours=2)
    _, stored = hosting.publish([2], 1, clock.now())
    await stored
    clock.advance(hours=-2)
    with pytest.raises(StorageError, match="does not exist"):
        await hosting.find(*parts(url))


def test_a_reset_forgets_hosted_pictures_and_resets_the_clock(
    client: OpenAI, emulator: Emulator
) -> None:
    url = published(client)
    emulator.clock.advance(hours=5)
    emulator.reset()
    assert abs(emulator.clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert httpx2.get(url).status_code == 404


def test_the_url_of_another_emulator_is_refused(client: OpenAI) -> None:
    url = published(client)
    with Server(Settings(port=0)) as other:
        split = urlsplit(url)
        answer = httpx2.get(f"{other.url}{split.path}?{split.query}")
    assert answer.status_code == 403


def test_the_query_of_a_url_is_in_the_recorded_order(client: OpenAI) -> None:
    query = dict(parse_qsl(urlsplit(published(client)).query))
    order = "st se sp sv sr rscd rsct skoid sktid skt ske sks skv sig"
    assert [*query] == order.split()
    hours = {"st": -1, "se": 1, "skt": -12, "ske": 12}
    start = datetime.fromisoformat(query["st"])
    for name, count in hours.items():
        assert datetime.fromisoformat(query[name]) == start + timedelta(hours=count + 1), name

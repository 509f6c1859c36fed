"""How the page is served: its address, headers and files, and that its JavaScript has types."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import get_args

import httpx2
import pytest

from images_emulator import Server
from images_emulator.contract.operations import IMAGE_OPERATIONS
from images_emulator.contract.own_picture import OWN_PICTURE_FORMATS
from images_emulator.state.query import Has
from images_emulator.web.page_files import CONTENT_SECURITY_POLICY, FOLDER, MEDIA_TYPES

FILES = sorted(path.name for path in FOLDER.iterdir())
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/", "/_emulator"])
def test_browser_is_led_to_the_page(http: httpx2.Client, server: Server, path: str) -> None:
    answer = http.get(path, headers={"Accept": HTML})
    assert (answer.status_code, answer.headers["location"]) == (302, "_emulator/")
    assert not server.requests


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_client_at_the_root_is_answered_as_before(
    http: httpx2.Client, server: Server, accept: str
) -> None:
    answer = http.get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.content) == (404, b"")
    assert [call.path for call in server.requests] == ["/"]


def test_page_is_html_under_a_strict_policy(http: httpx2.Client) -> None:
    answer = http.get("/_emulator/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES[".html"])
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert not re.search(r"style=|<script>|<style|\bon\w+=|https?:", answer.text)


def test_page_names_files_that_there_are(http: httpx2.Client) -> None:
    text = http.get("/_emulator/").text
    names = set(re.findall(r'(?:href|src)="page/([^"]+)"', text))
    assert names <= {*FILES}
    scripts = set(re.findall(r'(?:from|import)[ (]"\./([^"]+)"', all_scripts()))
    assert scripts <= {*FILES}


def test_page_has_every_operation_that_a_picture_can_answer() -> None:
    script = (FOLDER / "step_words.js").read_text()
    rows = re.findall(r'^  "(\*/images/[^"]+)": "(\w+)",$', script, re.MULTILINE)
    assert dict(rows) == {f"*{each.subpath}": name for name, each in IMAGE_OPERATIONS.items()}, (
        "OPERATIONS of page/step_words.js"
    )


def test_page_has_the_filters_of_the_journal() -> None:
    script = (FOLDER / "filters.js").read_text().partition("const HAS = {")[2].partition("\n};")[0]
    assert re.findall(r"^  (\w+): ", script, re.MULTILINE) == [*get_args(Has)]


def test_page_takes_pictures_of_every_format() -> None:
    script = (FOLDER / "picture_file.js").read_text()
    rows = re.findall(r'^  \["(image/\w+)", /\^(.+)/s\],', script, re.MULTILINE)
    assert {
        media_type: pattern.encode().decode("unicode_escape") for media_type, pattern in rows
    } == {each.media_type: each.pattern.decode("unicode_escape") for each in OWN_PICTURE_FORMATS}, (
        "FORMATS of page/picture_file.js"
    )
    assert all(f"a {each.name}" in script for each in OWN_PICTURE_FORMATS), "the sentence in it"


def test_page_asks_for_all_its_modules_at_once(http: httpx2.Client) -> None:
    """Without the links a browser finds them one level of imports after the other."""
    text = http.get("/_emulator/").text
    linked = re.findall(r'<link rel="modulepreload" href="page/([^"]+)">', text)
    imported = set(
        re.findall(r'^import .*?from "\./([^"]+)"', all_scripts(), re.MULTILINE | re.DOTALL)
    )
    assert linked == sorted(imported)


@pytest.mark.parametrize("name", FILES)
def test_file_of_the_page_is_sent_once_while_it_is_the_same(http: httpx2.Client, name: str) -> None:
    answer = http.get(f"/_emulator/page/{name}")
    assert (answer.status_code, answer.content) == (200, (FOLDER / name).read_bytes())
    assert answer.headers["content-type"] == MEDIA_TYPES[Path(name).suffix]
    assert answer.headers["cache-control"] == "no-cache"
    etag = answer.headers["etag"]
    again = http.get(f"/_emulator/page/{name}", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    "name",
    ["none.js", "", "../page_files.py", "..%2fpage_files.py", "%2e%2e/admin.py", "a%00.js", "base"],
)
def test_what_is_no_file_of_the_page_is_not_found(http: httpx2.Client, name: str) -> None:
    answer = http.get(f"/_emulator/page/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "emulator_error"


def test_page_takes_no_other_method(http: httpx2.Client) -> None:
    answer = http.post("/_emulator/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["message"] == "/_emulator/ does not take POST."


def test_page_needs_no_token_and_the_api_does() -> None:
    with (
        Server(admin_token="secret") as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        assert http.get("/_emulator/").status_code == 200
        assert http.get("/_emulator/page/base.css").status_code == 200
        assert http.get("/_emulator/settings").status_code == 401


def test_no_page_leaves_the_page_out_and_the_api_in() -> None:
    with Server(page=False) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        assert http.get("/_emulator/").status_code == 404
        assert http.get("/_emulator/page/base.css").status_code == 404
        assert http.get("/", headers={"Accept": HTML}).content == b""
        assert http.get("/_emulator/settings").json()["page"] is False


def all_scripts() -> str:
    return "\n".join(path.read_text() for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "cssText"]
)
def test_page_never_makes_html_of_text(word: str) -> None:
    assert word not in all_scripts()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_types_of_the_page_are_sound(npm_folder: Path) -> None:
    tsc = npm_folder / "node_modules/.bin/tsc"
    options = """
        --allowJs --checkJs --strict --noUncheckedIndexedAccess --noUnusedLocals --noEmit
        --target es2023 --module esnext --moduleResolution bundler --lib es2023,dom,dom.iterable
        --ignoreConfig --types"""
    command = [str(tsc), *options.split(), "", *map(str, sorted(FOLDER.glob("*.js")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

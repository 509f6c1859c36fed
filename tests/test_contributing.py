"""CONTRIBUTING.md is true: its modules are there, its diffs apply, and what they add works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import LAYERS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "emulator" / "images_emulator"
TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
DUNDERS = ("__init__", "__main__")
DIFFS = re.findall(r"```diff\n(.*?)```", TEXT, re.DOTALL)

SCRIPT = """
import base64
from io import BytesIO
import httpx2
from PIL import Image
from images_emulator import Server

source = BytesIO()
Image.new("RGB", (640, 480), "teal").save(source, "PNG")
files = {"image": ("a.png", source.getvalue(), "image/png")}
fields = {"model": "gpt-image-2.6-flare", "size": "1280x960"}
path = "/v1/images/redraws"

with Server() as server, httpx2.Client(
    base_url=server.url, headers={"Authorization": "Bearer sk-test"}, timeout=60
) as http:
    answer = http.post(path, data=fields, files=files)
    assert answer.status_code == 200, answer.text
    (picture,) = answer.json()["data"]
    assert Image.open(BytesIO(base64.b64decode(picture["b64_json"]))).size == (1280, 960)
    assert answer.json()["usage"]["output_tokens"] > 0
    assert http.post("/images/redraws", data=fields, files=files).status_code == 200

    call = http.get("/_emulator/requests").json()["requests"][-1]
    assert (call["path"], call["model"]) == ("/images/redraws", "gpt-image-2.6-flare")
    assert call["uploads"][0]["pixels"] == [640, 480]

    def code(answer: httpx2.Response) -> str:
        return answer.json()["error"]["code"]

    assert http.get(path).status_code == 405
    assert code(http.post(path, json=fields)) == "unsupported_content_type"
    wrong = http.post(path, data=fields | {"prompt": "x"}, files=files)
    assert code(wrong) == "unknown_parameter"
    two = http.post(path, data=fields, files=[("image[]", files["image"])] * 2)
    assert code(two) == "array_above_max_length"
    words = {name: (None, value) for name, value in fields.items()}
    assert code(http.post(path, files=words)) == "missing_required_parameter"
    before = {"x-emulator-as-of": "2026-11-30"}
    absent = http.post(path, data=fields, files=files, headers=before)
    assert (absent.status_code, absent.content) == (404, b"")
    fault = {"x-emulator-fault": "rate_limit_exceeded"}
    assert http.post(path, data=fields, files=files, headers=fault).status_code == 429
    assert path in http.post("/v1/images/redraw").headers["x-emulator-notice"]
    assert path in http.post("/v1/responses").json()["error"]["message"]
    assert path in http.get("/_emulator/models").json()["gpt-image-2.6-flare"]["endpoints"]

    fault = {"x-emulator-fault": "web_page;title=Down"}
    page = http.post(path, data=fields, files=files, headers=fault)
    assert page.text == "<html><title>Down</title></html>"
    kinds = {fault["kind"] for fault in http.get("/_emulator/faults").json()["faults"]}
    assert "web_page" in kinds

    names = [model["id"] for model in http.get("/v1/models").json()["data"]]
    assert "gpt-image-2.6-lantern" in names
    fields = {"model": "gpt-image-2.6-lantern", "prompt": "a lighthouse", "quality": "max"}
    assert http.post("/v1/images/generations", json=fields).status_code == 200
    refused = http.post("/v1/images/generations", json=fields, headers=before)
    assert refused.status_code == 400, refused.text
"""


def hunks(diff: str) -> Iterator[tuple[str, str, str]]:
    """The path, the old and the new lines of each hunk."""
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        path, _, body = part.partition("\n")
        for hunk in re.split(r"^@@.*\n", body, flags=re.MULTILINE)[1:]:
            lines = [(line[:1], f"{line[1:]}\n") for line in hunk.splitlines()]
            old, new = (
                "".join(text for sign, text in lines if sign != other) for other in ("+", "-")
            )
            yield path, old, new


def test_every_module_that_is_named_is_there() -> None:
    paths = re.findall(r"`((?:[\w-]+/)*[\w-]+\.py)`", TEXT)
    folders = re.findall(r"^\| `([\w/]+)/` \|(.*)$", TEXT, re.MULTILINE)
    inside = {name for _, text in folders for name in re.findall(r"`(\w+\.py)`", text)}
    for folder, text in folders:
        for name in re.findall(r"`(\w+\.py)`", text):
            assert (PACKAGE / folder / name).is_file(), f"{folder}/{name}"
    for path in {*paths} - inside:
        assert (PACKAGE / path).is_file() or (ROOT / path).is_file(), path


@pytest.mark.slow
def test_every_name_that_is_said_to_be_in_a_module_is_there() -> None:
    places = re.findall(
        r"((?:`[\w.]+`(?:, | and | or )?)+)(?: of| in) `((?:[\w-]+/)*[\w-]+\.py)`", TEXT
    )
    assert len(places) > 50
    for names, path in places:
        modules = (PACKAGE / path, ROOT / path, *PACKAGE.rglob(path))
        module = next(each for each in modules if each.is_file())
        for name in re.findall(r"`(?:\w+\.)*(?!py`)(\w+)`", names):
            assert re.search(rf"\b{name}\b", module.read_text()), f"{name} in {path}"


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in PACKAGE.rglob("*.py")}), ids=lambda path: path.name
)
def test_every_module_is_named_beside_its_folder_but_for_those_of_commands(folder: Path) -> None:
    name = folder.relative_to(PACKAGE).as_posix()
    rows = "".join(re.findall(rf"^\| `{name}/` \|(.*)$", TEXT, re.MULTILINE))
    modules = {path.name for path in folder.glob("*.py") if path.stem not in DUNDERS}
    missing = {
        each
        for each in modules
        if not each.endswith("_command.py") and f"`{each}`" not in rows
        if (each if folder == PACKAGE else f"{name}/{each}") not in TEXT
    }
    assert not missing, f"the map in CONTRIBUTING.md lacks {missing} of {name}/"


def test_every_file_of_the_page_is_named_once_in_its_table() -> None:
    table = TEXT.partition("### The page\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .+? \| (`.+) \|$", table, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+\.(?:css|html|js|svg))`", row)]
    assert sorted(names) == sorted(path.name for path in (PACKAGE / "web" / "page").iterdir())


def test_the_layers_are_those_that_imports_are_checked_by() -> None:
    (line,) = re.findall(r"^`[^`]+` →[^|]*?\n\n", TEXT, re.MULTILINE)
    assert tuple(tuple(each.split(", ")) for each in re.findall(r"`(.*?)`", line)) == LAYERS


def test_each_change_of_a_diff_is_beside_one_line_so_that_rows_can_be_added() -> None:
    for diff in DIFFS:
        for name, old, _ in hunks(diff):
            assert old.count("\n") == 1, f"{name}:\n{old}"


@pytest.mark.slow
def test_the_diffs_apply_one_after_the_other_and_what_they_add_works(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "emulator", tmp_path / "emulator")
    for diff in DIFFS:
        for name, old, new in hunks(diff):
            path = tmp_path / name
            parts = re.split(f"^{re.escape(old)}", path.read_text(), flags=re.MULTILINE)
            assert len(parts) == 2, f"{name} has not once:\n{old}"
            path.write_text(new.join(parts))
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select=F", "emulator"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not linted.returncode, linted.stdout
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "emulator")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.returncode, ran.stderr

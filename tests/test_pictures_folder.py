"""The setting `pictures`: a folder whose files answer the prompts that their names say."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Final

import httpx2
import openai
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Emulator, Server, Settings
from images_emulator.cli import main
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.scenario import scenario_of
from images_emulator.step_documents.pictures_folder import PicturesFolder
from tests.conftest import KEY
from tests.pictures import BLUE, GREEN, RED, answered, encoded, plain, png

COLOURS: Final = {RED: "red", BLUE: "blue", GREEN: "green"}


def write(folder: Path, **colours: tuple[int, int, int]) -> None:
    """Write pictures of one colour by their names without suffix, `x` for `*` and `_` for `-`."""
    for name, colour in colours.items():
        file = name.replace("x", "*").replace("_", "-") + ".png"
        (folder / file).write_bytes(png(colour=colour))


def shown(server: Server, *prompts: str) -> list[str]:
    """The names of the colours of the pictures that answer *prompts*."""
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        images: list[Image.Image] = []
        for prompt in prompts:
            answer = client.images.generate(model="gpt-image-2", prompt=prompt, size="1024x1024")
            images += answered(answer)
    corners = [image.convert("RGB").getpixel((0, 0)) for image in images]
    return [COLOURS.get(corner, "drawn") for corner in corners]  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_picture_answers_the_prompts_that_its_name_says(tmp_path: Path) -> None:
    write(tmp_path, a_red_fo=RED, shipx=BLUE, shipxthree=GREEN)
    (tmp_path / "A Cat?.JPG").write_bytes(encoded(plain(colour=(0, 0, 0)), "JPEG"))
    (tmp_path / "notes.txt").write_text("no picture, and no matter")
    (tmp_path / "older").mkdir()
    with Server(pictures=str(tmp_path)) as server:
        prompts = ["A red fo!", "a RED,\nfo", "a red fo, asleep", "Ship", "Ships (three)", "A dog"]
        assert shown(server, *prompts) == ["red", "red", "drawn", "blue", "green", "drawn"]
        assert [call.own_answer for call in server.calls()][-3:] == [
            "ship*.png",
            "ship*three.png",
            None,
        ]
        shown(server, "A cats")
        assert server.calls()[-1].own_answer == "A Cat?.JPG"


def test_a_document_says_what_names_cannot(tmp_path: Path) -> None:
    write(tmp_path, a_ship=RED, other=BLUE, tall=GREEN)
    (tmp_path / "pictures.toml").write_text(
        '[prompts]\n"*" = "other.png"\n"two *" = ["a-ship.png", "other.png"]\n'
        '"three" = { image = "tall.png", revised_prompt = "3" }\n'
        '[[steps]]\nmatch = { prompt = "tall" }\nanswer = { image = "tall.png" }\n'
    )
    with Server(pictures=str(tmp_path)) as server:
        prompts = ["a ship", "a tall ship", "a ship at sea", "two ships", "three"]
        assert shown(server, *prompts) == ["red", "green", "blue", "red", "green"]
        (step, *_) = server.emulator.scenario.as_json()["steps"]
        assert step["title"] == "pictures.toml, step 1 (tall.png)"
        assert server.unmet_steps() == []


def test_faults_and_counted_answers_of_the_folder_wait_for_their_calls(tmp_path: Path) -> None:
    write(tmp_path, ship=RED)
    (tmp_path / "pictures.toml").write_text(
        '[[steps]]\nfault = "server_error"\n'
        '[[steps]]\nanswer = { image = "ship.png" }\ntimes = 2\n'
        '[[steps]]\nanswer = { image = "ship.png" }\n'
    )
    scenario = scenario_of(Settings(pictures=str(tmp_path)), MemoryStore())
    assert [step.title for step in scenario.unmet()] == [
        "pictures.toml, step 1 (server_error)",
        "pictures.toml, step 2 (ship.png)",
    ]


@pytest.mark.slow
def test_injected_answers_and_the_scenario_go_before_the_folder(tmp_path: Path) -> None:
    write(tmp_path, x=RED)
    scenario = tmp_path / "day.toml"
    scenario.write_text('[[steps]]\nmatch = { prompt = "b" }\nanswer = { image = "blue.jpg" }\n')
    (tmp_path / "blue.jpg").write_bytes(png(colour=BLUE))
    with Server(pictures=str(tmp_path), scenario=str(scenario)) as server:
        server.answer(png(colour=GREEN), match={"prompt": "c"})
        assert shown(server, "a", "b", "c", "b c") == ["red", "blue", "green", "green"]
        server.emulator.scenario.begin_document({"steps": []})
        assert shown(server, "b", "c") == ["red", "red"]
        server.emulator.scenario.clear()
        assert shown(server, "a") == ["drawn"]


@pytest.mark.slow
def test_a_reset_reads_the_folder_anew(tmp_path: Path) -> None:
    write(tmp_path, fo=RED, ship=BLUE)
    with Server(pictures=str(tmp_path)) as server:
        assert shown(server, "fo", "ship", "boat") == ["red", "blue", "drawn"]
        write(tmp_path, boat=GREEN)
        (tmp_path / "fo.png").write_bytes(png((32, 32), colour=BLUE))
        (tmp_path / "ship.png").unlink()
        assert shown(server, "fo", "ship", "boat") == ["red", "blue", "drawn"]
        server.reset()
        assert shown(server, "fo", "ship", "boat") == ["blue", "drawn", "green"]


def test_answers_of_the_folder_wait_for_no_call_also_where_another_process_read_them(
    tmp_path: Path,
) -> None:
    write(tmp_path, fo=RED)
    store = MemoryStore()
    scenario, other = (scenario_of(Settings(pictures=str(tmp_path)), store) for _ in range(2))
    write(tmp_path, ship=BLUE)
    scenario.read_pictures()
    scenario.reset()
    other.inject("timeout")
    assert [step.title for step in other.unmet()] == ["injected (timeout)"]


def test_a_namespace_is_deleted_whatever_the_folder_has_by_now(tmp_path: Path) -> None:
    write(tmp_path, fo=RED)
    with Server(pictures=str(tmp_path)) as server, httpx2.Client(base_url=server.url) as http:
        body = {"model": "dall-e-2", "prompt": "fo", "size": "256x256"}
        headers = {"authorization": f"Bearer {KEY}"}
        for _ in range(2):
            with http.stream("GET", "/ns/a/_emulator/events") as page:
                chunks = page.iter_bytes()
                next(chunks)
                made = http.post("/ns/a/v1/images/generations", json=body, headers=headers)
                assert made.status_code == 200
                (tmp_path / "note.png").write_text("no picture")
                assert http.delete("/_emulator/namespaces/a").status_code == 200
            assert http.get("/_emulator/namespaces").json()["namespaces"] == []
            (tmp_path / "note.png").unlink()


def test_a_reset_with_mistakes_in_the_folder_resets_nothing(tmp_path: Path) -> None:
    write(tmp_path, fo=RED)
    with Server(pictures=str(tmp_path)) as server:
        assert shown(server, "fo") == ["red"]
        (tmp_path / "note.png").write_text("no picture")
        with pytest.raises(ValueError, match=r"note\.png: is no PNG, JPEG, WebP or GIF"):
            server.reset()
        assert len(server.calls()) == 1
        with openai.OpenAI(
            base_url=f"{server.url}/_emulator", api_key=KEY, max_retries=0
        ) as client:
            with pytest.raises(openai.BadRequestError, match=r"note\.png: is no PNG"):
                client.post("/reset", cast_to=object)
            (tmp_path / "note.png").unlink()
            server.reset()
            assert server.calls() == []


def test_pictures_have_the_suffixes_of_their_formats(tmp_path: Path) -> None:
    for name, form in {"a.png": "PNG", "b.JPG": "JPEG", "c.jpeg": "JPEG", "e.GIF": "GIF"}.items():
        (tmp_path / name).write_bytes(encoded(plain(), form))
    (tmp_path / "d.webp").write_bytes(encoded(plain(), "WEBP"))
    (tmp_path / "f.bmp").write_bytes(b"left alone")
    names = [step.name for step in PicturesFolder(str(tmp_path)).read()]
    assert sorted(names) == ["a.png", "b.JPG", "c.jpeg", "d.webp", "e.GIF"]


def test_files_that_have_not_changed_are_read_once(tmp_path: Path) -> None:
    write(tmp_path, fo=RED)
    folder = PicturesFolder(str(tmp_path))
    first, second = (folder.read()[0].step.answer for _ in range(2))
    assert first
    assert second
    assert first.image[0] is second.image[0]  # type: ignore[index]


MISTAKES: Final = {
    "none": (None, "none: No such file or directory"),
    "twice.jpg": (b"", "twice.png: answers the same prompts as 'twice.jpg'"),
    "note.png": (b"no picture", "note.png: is no PNG, JPEG, WebP or GIF"),
    "pictures.toml": (
        b'[prompts]\n"a" = "none.png"\n',
        "pictures.toml:2: prompts: a: image: none.png: ",
    ),
    "first.toml": (
        b'[prompts]\n"fox" = "none.png"\n"dog" = { image = "twice.png" }\n',
        "pictures.toml:2: prompts: fox: image: none.png: ",
    ),
    "second.toml": (
        b'[prompts]\nfox.image = "twice.png"\ndog.image = "none.png"\n',
        "pictures.toml:3: prompts: dog: image: none.png: ",
    ),
    "table.toml": (
        b'[prompts.fox]\nfit = "cover"\n[prompts."a dog"]\nfit = "cover"\nimage = "none.png"\n',
        "pictures.toml:5: prompts: a dog: image: none.png: ",
    ),
    "step.toml": (
        b'[prompts]\nfox = "none.png"\n[[steps]]\nanswer = { image = "twice.png" }\n',
        "pictures.toml:2: prompts: fox: image: none.png: ",
    ),
    "nested.toml": (
        b'[[steps]]\nanswer = { image = "none.png" }\n',
        "pictures.toml:2: step 1: answer: image: none.png: No such file",
    ),
    "key.toml": (b"a = 1\n", "pictures.toml:1: unknown key 'a'; it takes prompts, steps"),
    "syntax.toml": (b"\na = \n", "pictures.toml:2: Invalid value"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_folder_stops_the_start(name: str, tmp_path: Path) -> None:
    content, sentence = MISTAKES[name]
    write(tmp_path, twice=RED)
    folder = tmp_path
    if content is None:
        folder = tmp_path / name
    elif name.endswith(".toml"):
        (tmp_path / "pictures.toml").write_bytes(content)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Emulator(Settings(pictures=str(folder)))


def test_the_command_names_a_picture_that_cannot_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.png").write_text("no picture")
    with pytest.raises(SystemExit) as end:
        main(["serve", "--port", "0", "--pictures", str(tmp_path)])
    assert end.value.code == 2
    assert f"{tmp_path}/note.png: is no PNG, JPEG, WebP or GIF" in capsys.readouterr().err
    assert gc.isenabled()

"""The targets of `reliability/fuzzing`: they hold for the inputs to begin with and for the corpus
of broken pictures, and they find what is read wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from images_emulator.imaging import decoder
from reliability.broken_pictures import BrokenPicture, corpus
from reliability.fuzzing import __main__ as command
from reliability.fuzzing.fuzzer import Fuzzed, fuzz, missing_part
from reliability.fuzzing.targets import TARGETS, check_form, check_picture, with_right_checksums
from tests.pictures import png

SEEDS = [(name, seed) for name, target in TARGETS.items() for seed in target.seeds()]


@pytest.mark.parametrize(("name", "seed"), SEEDS)
def test_target_holds_for_what_it_begins_with(name: str, seed: bytes) -> None:
    TARGETS[name].check(seed)


@pytest.mark.parametrize("picture", corpus(), ids=lambda picture: picture.name)
def test_target_holds_for_broken_pictures(picture: BrokenPicture) -> None:
    check_picture(picture.data)


def test_checksums_are_mended_and_nothing_else() -> None:
    data = png()
    assert with_right_checksums(data) == data
    assert with_right_checksums(data[:-4] + b"xxxx" + b"behind") == data + b"behind"
    assert with_right_checksums(data[:50]) == data[:50]


def test_form_that_is_read_otherwise_in_chunks_breaks_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed = TARGETS["form"].seeds()[0]
    monkeypatch.setattr(
        "reliability.fuzzing.targets.read_form", lambda _, body: {"chunks": len([*body])}
    )
    with pytest.raises(AssertionError):
        check_form(seed)


def cropped(data: bytes) -> decoder.DecodedImage | None:
    image = decoder.decode(data)
    return image and replace(image, width=1)


@pytest.mark.parametrize("wrong", [cropped, lambda data: 1 / 0])
def test_picture_that_is_read_wrongly_breaks_the_target(
    wrong: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reliability.fuzzing.targets.decode", wrong)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        check_picture(png())


@pytest.mark.parametrize(
    ("fuzzed", "status", "text"),
    [
        (Fuzzed(1234), 0, "held: form: 1,234 inputs"),
        (Fuzzed(0, "AssertionError"), 1, "BROKEN: form; the input is in fuzzing-failures/"),
    ],
)
def test_command_exits_with_1_where_a_target_is_broken(
    fuzzed: Fuzzed,
    status: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "missing_part", lambda: "")
    monkeypatch.setattr(command, "fuzz", lambda name, seconds: fuzzed)
    monkeypatch.setattr("sys.argv", ["fuzzing", "form"])
    assert command.main() == status
    assert text in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_part()), reason=missing_part())
def test_target_that_takes_too_much_memory_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    assert fuzz("form", 1).inputs > 0
    monkeypatch.setattr("reliability.fuzzing.fuzzer.MAX_MEMORY_MB", 1)
    assert fuzz("form", 1).output


def test_command_says_that_nothing_is_fuzzed_without_atheris(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reliability.fuzzing.fuzzer.find_spec", lambda _: None)
    monkeypatch.setattr("sys.argv", ["fuzzing", "--minutes", "0.01"])
    assert command.main() == 0
    assert "Nothing was fuzzed: atheris is not installed" in capsys.readouterr().out

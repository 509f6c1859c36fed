"""The settings: what a new one must have."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

import pytest

from images_emulator import Settings
from images_emulator.cli.configuration import parse_variables
from images_emulator.setting_definition import Setting, _value_type
from images_emulator.setting_values import Need
from images_emulator.settings import MAX_WORKERS, ProcessSettings, all_settings, command_settings
from tests.sources import MODULES, nodes

NAMES = ("settings", "initial")
"""What settings are called; `initial` are those of an emulator's start."""

NUMBERS = [each for each in all_settings() if each.type is int]


def settings_read() -> set[str]:
    """The names behind the dot of settings, in all modules but `settings.py`."""
    return {
        node.attr
        for path in MODULES
        if path.stem != "settings"
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(NAMES)
    }


def test_every_setting_is_read() -> None:
    unread = {each.name for each in all_settings()} - settings_read()
    assert not unread, f"settings.py has settings that nothing reads: {unread}"


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda each: each.name)
def test_number_has_a_minimum(setting: Setting) -> None:
    values: dict[str, Any] = {setting.name: -1}
    with pytest.raises(ValueError, match=f"{setting.name} must be"):
        Settings(**values)


RANGES = {
    "port": "0 to 65535",
    "journal_entries": "0 or more",
    "max_head": "1KiB or more",
    "max_pixels": "1 to 89478485",
    "workers": "0 to 256",
    "speed": "above 0",
    "host": "",
    "page": "",
}
"""The ranges of settings that stand for all."""


@pytest.mark.parametrize(("name", "numbers"), RANGES.items())
def test_range_of_a_number_is_shown(name: str, numbers: str) -> None:
    (setting,) = (each for each in command_settings() if each.name == name)
    assert setting.range == numbers


@pytest.mark.parametrize("speed", [0, 0.0, -1, float("inf"), float("nan")])
def test_speed_is_a_finite_number_above_0(speed: float) -> None:
    with pytest.raises(ValueError, match=f"speed must be a number above 0, not {speed}"):
        Settings(speed=speed)


@pytest.mark.parametrize(
    ("setting", "need"),
    [
        pytest.param(each, need, id=f"{each.name}-{need}")
        for each in command_settings()
        for need in each.needs
    ],
)
def test_need_of_a_setting_is_a_value_of_another_one(setting: Setting, need: Need) -> None:
    (needed,) = (each for each in command_settings() if each.name == need.name)
    if need.value is None:
        assert not needed.command_default
    elif needed.type is bool:
        assert type(need.value) is bool
    else:
        assert need.value in needed.choices
    assert f"`{need}`" in setting.full_help


def test_workers_have_a_maximum() -> None:
    assert ProcessSettings(workers=MAX_WORKERS).workers == MAX_WORKERS
    with pytest.raises(ValueError, match="workers must be at most 256, not 100000"):
        ProcessSettings(workers=100_000)


@pytest.mark.parametrize(
    ("hint", "value_type"),
    [
        (int, int),
        (int | None, int),
        (str, str),
        (str | None, str),
        (Sequence[str], str),
        (bool, bool),
        (float, float),
    ],
)
def test_type_of_a_value_is_that_of_its_field(hint: Any, value_type: type[Any]) -> None:
    assert _value_type("limit", hint) is value_type


@pytest.mark.parametrize("hint", [bytes, int | str, Sequence[bytes]])
def test_a_field_of_another_type_is_no_setting(hint: Any) -> None:
    with pytest.raises(TypeError, match="limit: a value is a text, a number or a bool"):
        _value_type("limit", hint)


@pytest.mark.parametrize("value", ["false", 0, None])
def test_switch_that_is_no_bool_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="page: expected True or False, not"):
        Settings(page=value)


def test_size_is_a_text_with_a_unit_or_a_number_of_bytes() -> None:
    values: dict[str, Any] = {"journal_bytes": "64MB", "cache": "1 KiB", "max_body": 5}
    settings = Settings(**values)
    assert (settings.journal_bytes, settings.cache, settings.max_body) == (64_000_000, 1024, 5)


@pytest.mark.parametrize("value", [b"x", object(), {"a": 1}, [None]])
@pytest.mark.parametrize("name", [each.name for each in all_settings()])
def test_a_value_of_a_wrong_type_is_refused_by_the_name_of_its_setting(
    name: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("values", "error", "sentence"),
    [
        ({"cache": "64XB"}, ValueError, "cache must be a size such as 64MB, .*, not '64XB'"),
        ({"api_key": "a,b"}, ValueError, "api_key: expected a key without blanks, commas, .*"),
        ({"api_key": ["a", 1]}, ValueError, "api_key: expected a text, not 1"),
        ({"api_key": None}, ValueError, "api_key: expected a list of texts, not None"),
        ({"allow_host": 1}, ValueError, "allow_host: expected a list of texts, not 1"),
        ({"deployment": {"a": "b"}}, ValueError, "deployment: expected a list of texts, not {.*"),
        ({"port": True}, ValueError, "port: expected a whole number, not True"),
        ({"host": None}, ValueError, "host: expected a text, not None"),
        ({"deployment": ["a=b", "c="]}, ValueError, "deployment: expected NAME=MODEL, not 'c='"),
        (
            {"cache": "64XB", "port": 7e4, "as_of": "x", "idle_timeout": 0, "on_miss": "refuse"},
            ValueError,
            r"port: expected a whole number, not 70000\.0\nas_of: expected .*, not 'x'\n"
            r"idle_timeout must be at least 1, not 0\ncache must be a size .*, not '64XB'",
        ),
        ({"as_off": "today"}, TypeError, "there is no setting 'as_off'; 'as_of' is probably meant"),
        ({"q": 1}, TypeError, "there is no setting 'q'"),
    ],
)
def test_mistake_in_settings_of_python_is_a_sentence(
    values: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{sentence}$"):
        Settings(**values)


@pytest.mark.parametrize(
    "text", ["a b", '["a","b"]', "[a]", "'a'", "{a}", "a\tb", "a\N{NO-BREAK SPACE}b"]
)
def test_text_of_several_keys_is_no_api_key_and_is_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="api_key: expected a key without") as error:
        Settings(api_key=parse_variables({"IMAGES_EMULATOR_API_KEY": text})["api_key"])
    assert text not in str(error.value)


@pytest.mark.parametrize("key", ["sk-proj-A_b-9", "0123456789abcdef", "eyJhbGciOi.J9+/=", "sk-é"])
def test_key_of_the_api_of_azure_or_of_a_token_is_an_api_key(key: str) -> None:
    assert Settings(api_key=["sk-a", key]).api_key == ("sk-a", key)


REPEATABLE: Final = [each for each in command_settings() if each.repeatable]


@pytest.mark.parametrize("setting", REPEATABLE, ids=lambda setting: setting.name)
def test_help_of_a_repeatable_setting_says_how_the_variable_has_several(setting: Setting) -> None:
    assert "Repeatable; commas separate several in the variable." in setting.full_help
    assert setting.parse("a=1, b=2") == ("a=1", "b=2")

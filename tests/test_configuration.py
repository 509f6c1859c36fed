"""Settings from flags, variables, a file and the defaults: their values, and which goes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from images_emulator import Settings
from images_emulator.cli.configuration import (
    Configuration,
    parse_document,
    parse_variables,
    read_settings,
    upstream_key,
)
from images_emulator.setting_values import parse_byte_size, size_text
from images_emulator.settings import all_settings, command_settings


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "images-emulator.toml") -> None:
    (folder / name).write_text(text)


def test_flag_goes_before_variable_before_file_before_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_settings()["port"] == 8080
    write(folder, "port = 1\nhost = 'a'")
    assert read_settings()["port"] == 1
    monkeypatch.setenv("IMAGES_EMULATOR_PORT", "2")
    assert read_settings()["port"] == 2
    values = read_settings(port=3)
    assert (values["port"], values["host"], values["cache"]) == (3, "a", 12 * 2**20)


def test_config_names_another_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "port = 1")
    write(folder, "port = 2", "two.toml")
    write(folder, "port = 3", "three.toml")
    monkeypatch.setenv("IMAGES_EMULATOR_CONFIG", "two.toml")
    assert read_settings()["port"] == 2
    assert read_settings(config="three.toml")["port"] == 3


def test_every_setting_can_stand_in_the_file() -> None:
    document = {
        each.name: [*each.command_default] if each.repeatable else each.command_default
        for each in all_settings()
        if each.command_default is not None
    }
    assert Settings(**parse_document(document)) == Settings(port=8080)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('journal_bytes = "64MB"', "journal_bytes", 64_000_000),
        ("journal_bytes = 5", "journal_bytes", 5),
        ('api_key = ["sk-a", "sk-b"]', "api_key", ("sk-a", "sk-b")),
        ('api_key = "sk-a, b"', "api_key", ("sk-a, b",)),
        ("as_of = 2026-06-01", "as_of", "2026-06-01"),
        ('as_of = "today"', "as_of", "today"),
        ("page = false", "page", False),
    ],
)
def test_file_has_values_in_the_types_of_toml(
    line: str, name: str, value: Any, folder: Path
) -> None:
    write(folder, line)
    assert read_settings()[name] == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "there is no setting 'prot'; 'port' is probably meant"),
        ("as-of = 'any'", "there is no setting 'as-of'; 'as_of' is probably meant"),
        ("[server]\nport = 1", "there is no setting 'server'"),
        ("port = true", "port must be a whole number, not True"),
        ("port = 'x'", "port must be a number, not 'x'"),
        ("cache = 1.5", "cache must be a whole number, not 1.5"),
        ("cache = '12XB'", "cache must be a size such as 64MB, 64MiB or 67108864, not '12XB'"),
        ("host = 1", "host must be a text, not 1"),
        ("page = 1", "page must be true or false, not 1"),
        ("api_key = [1]", "api_key must be an array of texts, not [1]"),
        ("port = ]", "Invalid value"),
        ("port = [", "Invalid value at the end of the file"),
        ("\udcff", "this is no UTF-8 text"),
        pytest.param(f"a = {'[' * 9000}", "this is nested too deeply", id="nested"),
    ],
)
def test_mistake_in_the_file_is_refused_with_its_line(
    text: str, sentence: str, folder: Path
) -> None:
    (folder / "images-emulator.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"^images-emulator\.toml:1: ") as caught:
        read_settings()
    assert str(caught.value).removeprefix("images-emulator.toml:1: ") == sentence


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("port = [", 1),
        ("port = [\n", 1),
        ("port = [\r\n1,\r\n", 2),
        ("port = [\n\n", 2),
        ("# A fox\u2028in the\x85snow\nport = [", 2),
    ],
    ids=ascii,
)
def test_mistake_at_the_end_of_the_file_is_in_its_last_line(
    text: str, line: int, folder: Path
) -> None:
    (folder / "images-emulator.toml").write_bytes(text.encode())
    with pytest.raises(ValueError, match="at the end of the file") as caught:
        read_settings()
    assert str(caught.value).startswith(f"images-emulator.toml:{line}: ")


def test_all_mistakes_in_the_file_are_named_at_once(folder: Path) -> None:
    write(folder, "prot = 1\nas_of = 'today'\ncache = 1.5")
    with pytest.raises(ValueError, match="prot") as caught:
        read_settings()
    assert str(caught.value).splitlines() == [
        "images-emulator.toml:1: there is no setting 'prot'; 'port' is probably meant",
        "images-emulator.toml:3: cache must be a whole number, not 1.5",
    ]


def mistakes_of(**flags: Any) -> list[str]:
    """The sentences about the settings of a server with these *flags*."""
    with pytest.raises(ValueError, match=r".") as caught:
        Configuration.read(flags, for_server=True)
    return str(caught.value).splitlines()


def test_each_source_has_its_mistakes_named_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "# mine\n\nrate_limit = '5/day'\n  'port' = 70000\nnone.x = 1\n[zz]\n")
    monkeypatch.setenv("IMAGES_EMULATOR_CACHE", "-1")
    monkeypatch.setenv("IMAGES_EMULATOR_WORKERS", "many")
    monkeypatch.setenv("IMAGES_EMULATOR_CASH", "1")
    assert mistakes_of(as_of="2026", log_format="xml", api_key=("a b",)) == [
        "--as-of: expected 'any', 'today' or a date as YYYY-MM-DD, not '2026'",
        "--log-format: expected 'text' or 'json', not 'xml'",
        "--api-key: expected a key without blanks, commas, quotes and brackets; commas separate "
        "several in a variable, and in the settings file they are an array",
        "IMAGES_EMULATOR_CACHE must be a size such as 64MB, 64MiB or 67108864, not '-1'",
        "IMAGES_EMULATOR_WORKERS must be a number, not 'many'",
        "there is no variable IMAGES_EMULATOR_CASH; IMAGES_EMULATOR_CACHE is probably meant",
        "images-emulator.toml:3: rate_limit: expected a rate as 5/min, 1/s or 100/hour, "
        "not '5/day'",
        "images-emulator.toml:4: port must be at most 65535, not 70000",
        "images-emulator.toml:5: there is no setting 'none'",
        "images-emulator.toml:6: there is no setting 'zz'",
    ]


@pytest.mark.parametrize(
    ("flags", "variables", "subject"),
    [
        ({"on_miss": "record"}, {}, "--on-miss"),
        ({}, {"IMAGES_EMULATOR_ON_MISS": "record"}, "IMAGES_EMULATOR_ON_MISS"),
        ({}, {}, "images-emulator.toml:2: on_miss"),
    ],
)
def test_contradiction_is_named_with_its_source(
    flags: dict[str, Any],
    variables: dict[str, str],
    subject: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(folder, "port = 1\non_miss = 'record'")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sentence = "'record' needs the settings 'replay' and 'upstream'"
    assert mistakes_of(**flags) == [f"{subject}: {sentence}"]


def test_value_that_a_server_cannot_have_does_not_stop_a_client(folder: Path) -> None:
    write(folder, "rate_limit = '5/day'\nport = 5")
    assert read_settings()["port"] == 5


def test_settings_file_says_what_it_sets_and_what_goes_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Configuration.read({}).file is None
    write(folder, "port = 1\ncache = 5\nas_of = 'today'\nhost = 'x'")
    monkeypatch.setenv("IMAGES_EMULATOR_CACHE", "6")
    file = Configuration.read({"port": 2}).file
    path = folder.resolve() / "images-emulator.toml"
    line = "as_of, host; port is that of --port; cache is that of IMAGES_EMULATOR_CACHE"
    assert str(file) == f"config={path}: {line}"
    write(folder, "port = 1")
    assert str(Configuration.read({"port": 2}).file) == (
        f"config={path}: sets nothing; port is that of --port"
    )


def test_file_that_is_named_and_missing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^day\.toml: No such file or directory$"):
        read_settings(config="day.toml")


@pytest.mark.parametrize("name", ["scenario", "replay", "pictures"])
def test_path_in_the_file_is_seen_from_the_file(folder: Path, name: str) -> None:
    (folder / "inner").mkdir()
    (folder / "day").mkdir()
    write(folder / "inner", f'{name} = "day"')
    assert read_settings(config="inner/images-emulator.toml")[name] == str(Path("inner/day"))


def test_ready_scenario_in_the_file_is_itself_unless_the_folder_has_one(folder: Path) -> None:
    (folder / "inner").mkdir()
    write(folder / "inner", 'scenario = "outage"')
    config = "inner/images-emulator.toml"
    assert read_settings(config=config)["scenario"] == "outage"
    write(folder / "inner", "", "outage")
    assert read_settings(config=config)["scenario"] == str(Path("inner/outage"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "IMAGES_EMULATOR_PROT",
            "there is no variable IMAGES_EMULATOR_PROT; IMAGES_EMULATOR_PORT is probably meant",
        ),
        ("IMAGES_EMULATOR_ZZZZZZZZZZZZZZZZZZZZ", "IMAGES_EMULATOR_ZZZZZZZZZZZZZZZZZZZZ$"),
        ("IMAGES_EMULATOR_WOMBAT", "there is no variable IMAGES_EMULATOR_WOMBAT$"),
        ("IMAGES_EMULATOR_TIMEOUT", "; IMAGES_EMULATOR_IDLE_TIMEOUT is probably meant$"),
    ],
)
def test_unknown_variable_with_the_prefix_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_variables({name: "1"})


def test_variables_of_kubernetes_and_of_other_programs_are_ignored() -> None:
    variables = {
        "IMAGES_EMULATOR_SERVICE_HOST": "10.0.0.7",
        "IMAGES_EMULATOR_SERVICE_PORT": "8080",
        "IMAGES_EMULATOR_SERVICE_PORT_HTTP": "8080",
        "IMAGES_EMULATOR_PORT": "tcp://10.0.0.7:8080",
        "IMAGES_EMULATOR_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "IMAGES_EMULATOR_PORT_8080_TCP_ADDR": "10.0.0.7",
        "IMAGES_EMULATOR_URL": "http://127.0.0.1:8080",
        "IMAGES_EMULATOR_CONFIG": "x.toml",
        "OPENAI_API_KEY": "sk-a",
        "IMAGES_EMULATOR_AS_OF": "",
    }
    assert parse_variables(variables) == {}


def test_variable_has_its_value_in_a_text() -> None:
    variables = {
        "IMAGES_EMULATOR_API_KEY": "sk-a, sk-b,",
        "IMAGES_EMULATOR_MAX_BODY": "2GiB",
        "IMAGES_EMULATOR_PAGE": "off",
    }
    assert parse_variables(variables) == {
        "api_key": ("sk-a", "sk-b"),
        "max_body": 2 * 2**30,
        "page": False,
    }


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("67108864", 67_108_864),
        ("64MB", 64_000_000),
        ("64 mib", 64 * 2**20),
        ("2GiB", 2 * 2**30),
        ("3kB", 3000),
        ("3KiB", 3072),
        ("5B", 5),
    ],
)
def test_size_has_decimal_and_binary_units(text: str, size: int) -> None:
    assert parse_byte_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "64M", "-1", "1.5MB", "64MBs", "٣MB", "1e6"])
def test_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size such as 64MB"):
        parse_byte_size(text)


@pytest.mark.parametrize("size", [0, 1, 1000, 1024, 12 * 2**20, 850 * 2**20, 2**30, 2**30 + 1])
def test_size_text_is_read_back(size: int) -> None:
    assert parse_byte_size(size_text(size)) == size


@pytest.mark.parametrize(
    ("text", "page"), [("false", False), ("0", False), ("NO", False), ("true", True), ("on", True)]
)
def test_variable_switches_a_setting_on_or_off(text: str, page: bool) -> None:
    assert parse_variables({"IMAGES_EMULATOR_PAGE": text}) == {"page": page}


def test_flag_of_a_switch_goes_before_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGES_EMULATOR_PAGE", "false")
    assert read_settings()["page"] is False
    assert read_settings(page=True)["page"] is True


def test_variable_that_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(ValueError, match="IMAGES_EMULATOR_PAGE must be true or false, not 'maybe'"):
        parse_variables({"IMAGES_EMULATOR_PAGE": "maybe"})


SETTING = "IMAGES_EMULATOR_UPSTREAM_API_KEY"


@pytest.mark.parametrize(
    ("flags", "variables", "key"),
    [
        ({"upstream_api_key": "flag"}, {SETTING: "setting", "OPENAI_API_KEY": "sdk"}, "flag"),
        ({}, {SETTING: "setting", "OPENAI_API_KEY": "sdk"}, "setting"),
        ({}, {"OPENAI_API_KEY": "sdk", "AZURE_OPENAI_API_KEY": "azure"}, "sdk"),
        ({}, {"OPENAI_API_KEY": "sk-test"}, None),
        ({}, {"OPENAI_API_KEY": ""}, None),
        ({}, {}, None),
        ({"upstream": "https://x.openai.azure.com"}, {"OPENAI_API_KEY": "sdk"}, None),
        ({"upstream": "https://X.openai.Azure.com:443/v1"}, {"AZURE_OPENAI_API_KEY": "a"}, "a"),
        ({"upstream": "https://x/.azure.com.org"}, {"OPENAI_API_KEY": "sdk"}, "sdk"),
    ],
)
def test_key_of_the_upstream_is_the_flags_then_the_settings_then_that_of_the_sdks(
    flags: dict[str, str],
    variables: dict[str, str],
    key: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert upstream_key(read_settings(**flags)) == key


IDLE: dict[str, tuple[Any, str]] = {
    "allow_host": (("images.test",), "remote_images=fetch"),
    "remote_images": ("fetch", "allow_host"),
    "replay_match": ("exact", "replay"),
    "delay": (False, "replay"),
    "speed": (2.0, "replay"),
    "rate_limit_keys": (5, "rate_limit"),
    "store_name": ("ci", "store"),
}
"""Settings with a value that has no effect on a server with the defaults, and what they lack."""

READ_BY_RECORD = {"upstream": "http://upstream.test", "upstream_api_key": "sk-a"}
"""Those that `record` reads, too."""


def test_settings_that_have_no_effect_alone_are_these() -> None:
    needing = {each.name for each in command_settings() if each.needs}
    assert needing == IDLE.keys() | READ_BY_RECORD.keys()


def as_variable(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("name", IDLE)
def test_variable_without_effect_is_told_of(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, lacking = IDLE[name]
    variable = f"IMAGES_EMULATOR_{name.upper()}"
    monkeypatch.setenv(variable, as_variable(value))
    shown = f"{variable}=fetch" if name == "remote_images" else variable
    sentence = f"{shown} has no effect without the setting {lacking}"
    assert Configuration.read({}).ineffective_settings() == [sentence]


def test_key_of_the_file_without_effect_is_told_of(folder: Path) -> None:
    write(folder, "store_name = 'ci'\nspeed = 2\nupstream = 'http://upstream.test'\ndelay = true")
    assert Configuration.read({}).ineffective_settings() == [
        "images-emulator.toml:2: speed has no effect without the setting replay",
        "images-emulator.toml:1: store_name has no effect without the setting store",
    ]


@pytest.mark.parametrize("name", [*IDLE, *READ_BY_RECORD])
def test_flag_without_effect_is_refused(name: str) -> None:
    value = IDLE[name][0] if name in IDLE else READ_BY_RECORD[name]
    with pytest.raises(ValueError, match=r"^--[a-z- ]+ has no effect without --[a-z- ]+$"):
        Configuration.read({name: value}).ineffective_settings()


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"store": "redis://x", "store_name": "ci"},
        {"remote_images": "fetch", "allow_host": ("images.test",)},
        {"remote_images": "refuse"},
        {"rate_limit": "5/min", "rate_limit_keys": 5},
        {"replay": "x", "replay_match": "exact", "speed": 2.0},
        {"replay": "x", "delay": False},
        {"replay": "x", "on_miss": "record", **READ_BY_RECORD},
        # At their defaults they have the effect that they always have.
        {"store_name": "default", "delay": True, "speed": 1.0, "replay_match": "request"},
    ],
)
def test_setting_with_what_it_needs_is_not_told_of(flags: dict[str, Any]) -> None:
    assert Configuration.read(flags).ineffective_settings() == []


def test_setting_may_have_what_it_needs_from_another_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "store = 'redis://x'")
    monkeypatch.setenv("IMAGES_EMULATOR_REPLAY", "x")
    flags = {"store_name": "ci", "speed": 2.0}
    assert Configuration.read(flags).ineffective_settings() == []
    with pytest.raises(ValueError, match=r"^--speed has no effect without --delay$"):
        Configuration.read({**flags, "delay": False}).ineffective_settings()

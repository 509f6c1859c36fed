"""Settings that change at run time: one table, and all that is derived from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import httpx2
import pytest

from images_emulator import Emulator, RemoteServer, Server, Settings
from images_emulator.changeable_settings import CHANGEABLE, SettingChanges, changeable_values
from images_emulator.web.admin.admin_api import create_admin_api

PATH = "/_emulator/settings"
ROOT = Path(__file__).parent.parent
CHANGES: SettingChanges = {"as_of": "2026-01-01", "validation": "lenient"}


@pytest.fixture
def remote(server: Server) -> Iterator[RemoteServer]:
    with RemoteServer(server.url) as namespace:
        yield namespace


def test_each_changeable_setting_has_the_type_of_its_field_and_is_never_none() -> None:
    of_fields = get_type_hints(Settings)
    assert CHANGEABLE
    for name, hint in get_type_hints(SettingChanges).items():
        assert hint == of_fields[name] | None != of_fields[name]


def test_examples_of_this_test_are_all_changeable_settings_and_no_defaults() -> None:
    assert CHANGES.keys() == {*CHANGEABLE}
    assert not CHANGES.items() & changeable_values(Settings()).items()


@pytest.mark.parametrize("name", CHANGEABLE)
def test_every_way_to_change_settings_changes_it(
    name: str, server: Server, remote: RemoteServer, http: httpx2.Client
) -> None:
    value = {**CHANGES}[name]
    start = changeable_values(Settings())
    change: Any = {name: value}
    server.configure(**change)
    assert server.changeable_settings == start | change
    assert http.get(PATH).json()["changed"] == [name]
    remote.configure(**change)
    assert remote.changeable_settings == start | change
    assert http.patch(PATH, json={name: None}).json()[name] == start[name]
    assert http.patch(PATH, json=change).json()[name] == value
    server.reset()
    assert server.changeable_settings == start


def test_none_leaves_a_setting_as_it_is(emulator: Emulator) -> None:
    emulator.configure(**CHANGES)
    nothing: Any = dict.fromkeys(CHANGEABLE)
    emulator.configure(**nothing)
    assert changeable_values(emulator.settings) == CHANGES


def test_another_setting_is_refused_and_changes_nothing(
    server: Server, remote: RemoteServer, emulator: Emulator
) -> None:
    before = server.settings
    for each in (server, remote, emulator):
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'port'$"):
            each.configure(port=80)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="'asof'; 'as_of' is probably meant"):
            each.configure(validation="lenient", asof="any")  # type: ignore[call-arg]
    assert emulator.settings == before
    assert remote.changeable_settings == changeable_values(before)


def test_document_of_the_admin_api_has_the_changeable_settings() -> None:
    schemas = create_admin_api().openapi()["components"]["schemas"]
    assert schemas["SettingsPatch"]["properties"].keys() == {*CHANGEABLE}
    assert schemas["SettingsPatch"]["description"].startswith("Body of `PATCH")


def test_docs_and_examples_name_the_changeable_settings() -> None:
    words = ", ".join(f"{name}=None" for name in CHANGEABLE)
    marker = f"`images_emulator(scenario=None, {words})`"
    assert marker in (ROOT / "docs" / "reference" / "python-api.md").read_text()
    (line,) = [
        line
        for line in (ROOT / "examples" / "nextjs" / "emulator.ts").read_text().splitlines()
        if line.startswith("type Settings =")
    ]
    assert all(f"{name}?: " in line for name in CHANGEABLE)

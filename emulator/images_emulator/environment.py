"""The environment variables by which SDKs find a server: OpenAI's, Azure's and those of proxies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Final
from urllib.parse import urlsplit

URL_VARIABLE: Final = "IMAGES_EMULATOR_URL"
"""The variable with the address of a server, for the pytest plugin and for commands such as
`requests`."""

TOKEN_VARIABLE: Final = "IMAGES_EMULATOR_ADMIN_TOKEN"  # noqa: S105 - no token
"""The variable with the admin token of that server."""

API_KEY: Final = "sk-test"
"""The key that is set for a server that accepts any key."""

API_VERSION: Final = "2025-04-01-preview"
"""An Azure `api-version` that has generations and edits."""

MODULE_CLIENT: Final = ("_client", "api_type", "azure_endpoint", "api_version")
"""The attributes of the module `openai` that hold its client, and the values that it has read from
the variables."""


def sdk_variables(url: str, api_key: str = API_KEY) -> dict[str, str]:
    """The variables from which `OpenAI()` and `AzureOpenAI()` find the server, or the namespace, at
    *url*. A server's *url* is `http://HOST:PORT`."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": api_key,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": api_key,
        "OPENAI_API_VERSION": API_VERSION,
    }


@contextmanager
def sdk_environment(url: str, api_keys: Sequence[str] = ()) -> Iterator[None]:
    """Set the variables by which SDKs find the server at *url*, and ask no proxy for it. The server
    accepts these *api_keys*, or any key where there are none. The variables get their old values
    back at the end."""
    key = next(iter(api_keys), API_KEY)
    changes: dict[str, str | None] = {
        **sdk_variables(url, key),
        "AZURE_OPENAI_AD_TOKEN": None,  # it would go before the key
        **_proxy_exceptions(urlsplit(url).hostname or ""),
    }
    # The client of the module `openai` refuses to choose between OpenAI's key and Azure's.
    if not os.environ.get("OPENAI_API_TYPE"):
        changes["OPENAI_API_TYPE"] = "openai"
    before = {name: os.environ.get(name) for name in changes}
    with _without_module_client():
        _set(changes)
        try:
            yield
        finally:
            _set(before)


@contextmanager
def _without_module_client() -> Iterator[None]:
    """Make the module `openai` create a new client, because it reads the variables only once. At
    the end the module gets its old client back, or creates another one."""
    sdk = sys.modules.get("openai")
    before = {name: getattr(sdk, name, None) for name in MODULE_CLIENT} if sdk else {}
    if sdk:
        _change(sdk, {"_client": None, "api_type": before["api_type"] or "openai"})
    try:
        yield
    finally:
        # A module that was imported meanwhile has read the variables for good.
        if sdk := sdk or sys.modules.get("openai"):
            _change(sdk, {**dict.fromkeys(MODULE_CLIENT), **before})


def _change(module: ModuleType, values: Mapping[str, object]) -> None:
    """Set the attributes that *module* has to *values*."""
    for name, value in values.items():
        if hasattr(module, name):
            setattr(module, name, value)


def _proxy_exceptions(host: str) -> dict[str, str]:
    """The variables that exempt hosts from proxies, with *host* added."""
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if direct == "*":
        return {}
    hosts = dict.fromkeys([*filter(None, direct.split(",")), host, "localhost"])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(hosts))


def _set(values: Mapping[str, str | None]) -> None:
    """Set the variables to *values*; None removes a variable."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

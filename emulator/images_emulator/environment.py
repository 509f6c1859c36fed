"""The environment variables by which SDKs find a server: OpenAI's, Azure's and those of proxies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from images_emulator.settings import Settings

API_KEY: Final = "sk-test"
"""The key that is set where the server accepts any."""

API_VERSION: Final = "2025-04-01-preview"
"""An `api-version` of Azure's that has generations and edits."""


def sdk_variables(url: str, api_key: str = API_KEY) -> dict[str, str]:
    """The variables that `OpenAI()` and `AzureOpenAI()` read, for the server at *url*, which is
    `http://HOST:PORT`."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": api_key,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": api_key,
        "OPENAI_API_VERSION": API_VERSION,
    }


@contextmanager
def sdk_environment(url: str, settings: Settings) -> Iterator[None]:
    """Set the variables by which SDKs find the server at *url* with these *settings*, and by which
    they ask no proxy for it. At the end they have their values from before."""
    key = next(iter(settings.api_key), API_KEY)
    changes: dict[str, str | None] = {
        **sdk_variables(url, key),
        "AZURE_OPENAI_AD_TOKEN": None,  # it would go before the key
        **_proxy_exceptions(settings.host),
    }
    # openai.images and its like refuse to choose between OpenAI's key and Azure's.
    chooses = not os.environ.get("OPENAI_API_TYPE")
    if chooses:
        changes["OPENAI_API_TYPE"] = "openai"
    sdk = sys.modules.get("openai") if chooses else None
    if sdk and getattr(sdk, "api_type", "") is not None:
        sdk = None
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    if sdk:
        sdk.api_type = "openai"  # type: ignore[attr-defined] # the module may have none
    try:
        yield
    finally:
        if sdk:
            sdk.api_type = None  # type: ignore[attr-defined]
        _set(before)


def _proxy_exceptions(host: str) -> dict[str, str]:
    """The variables that name the hosts for which no proxy is asked, with *host* among them."""
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if direct == "*":
        return {}
    hosts = dict.fromkeys([*filter(None, direct.split(",")), host, "localhost"])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(hosts))


def _set(values: Mapping[str, str | None]) -> None:
    """Set the variables to these *values*; None removes one."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

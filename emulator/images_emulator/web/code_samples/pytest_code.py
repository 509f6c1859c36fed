"""A call as a test in Python with the fixture of the pytest plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from images_emulator.changeable_settings import changeable_values
from images_emulator.contract.operations import AZURE_PREFIX
from images_emulator.exchange.exchange import Exchange
from images_emulator.settings import Settings
from images_emulator.web.code_samples.code_layout import indented, literal
from images_emulator.web.code_samples.python_code import (
    python_call,
    python_client,
    python_http,
    python_imports,
    python_request,
    python_upload,
    python_value,
)
from images_emulator.web.code_samples.sdk_call import SampleSource, SDKCall, sdk_call

ERROR_CLASSES: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
"""The exceptions of openai-python by the status; `InternalServerError` from 500 on."""


RATE_LIMIT: Final = "rate_limit_exceeded"
"""The name of the error of a rate limit, and its code."""

WITHOUT_END: Final = frozenset({"timeout", "stall"})
"""The faults whose answers do not end."""


def pytest_code(source: SampleSource) -> str:
    """A test with the fixture of the pytest plugin. It expects the answer that the call got."""
    source = replace(source, has_own_server=True)
    sdk = sdk_call(source)
    sdk = sdk and _with_models(sdk, source.deployments)
    if not (sdk and sdk.has_required):
        body = _plain_http(source)
        names: Sequence[str] = ()
    else:
        checks = indented("".join(_checks(source, sdk)))
        body = f"with {_client(sdk)} as client:\n{checks}"
        names = ("import openai",)
    body = _fault(source) + body
    test = f"def test_call(images_emulator):\n{indented(body)}"
    upload = f"{python_upload(source).strip()}\n\n\n" if sdk and sdk.uses_uploads else ""
    code = f"{upload}{_marker(source)}{test}"
    extra = ["import pytest"] if "pytest." in code else []
    imports = python_imports(*names, *extra, code=code)
    return f"{imports}\n\n\n{code}" if imports else code


def _client(sdk: SDKCall) -> str:
    if sdk.deployment or sdk.prefix == "/v1":
        return python_client(sdk)
    return python_client(sdk, f"base_url=images_emulator.url + {literal(sdk.prefix)}")


def _marker(source: SampleSource) -> str:
    defaults = changeable_values(Settings())
    changed = [
        f"{name}={python_value(value)}"
        for name, value in source.changeable_settings.items()
        if value != defaults[name]
    ]
    return f"@pytest.mark.images_emulator({', '.join(changed)})\n" if changed else ""


def _with_models(sdk: SDKCall, deployments: Mapping[str, str]) -> SDKCall:
    """The call *sdk* to the models behind *deployments*. The server of a test has no deployments,
    and takes the name of a model in place of a deployment's."""
    arguments = dict(sdk.arguments)
    if sdk.prefix.startswith(AZURE_PREFIX) and isinstance(name := arguments.get("model"), str):
        arguments["model"] = deployments.get(name, name)
    name = sdk.deployment
    return replace(sdk, arguments=arguments, deployment=name and deployments.get(name, name))


def _fault(source: SampleSource) -> str:
    """A statement that injects the fault of the call, with the fault's defaults; the fault `error`
    with status and members of the error that was sent. Where the rate limit refused the call, the
    fault `RATE_LIMIT` stands for it. Empty where there is no fault, or the call itself asks for
    it."""
    exchange = source.exchange
    fault = exchange.fault_label
    if fault is None and (exchange.status, exchange.error_code) == (429, RATE_LIMIT):
        fault = RATE_LIMIT
    if fault is None or _asks_for_fault(exchange):
        return ""
    arguments = [python_value(fault)]
    if fault == "error":
        members = {"status": exchange.status, "message": "", **(exchange.error or {})}
        arguments += [
            f"{name}={python_value(members[name])}"
            for name in ("status", "message", "type", "param", "code")
            if members.get(name) is not None
        ]
    return f"images_emulator.inject({', '.join(arguments)})\n"


def _asks_for_fault(exchange: Exchange) -> bool:
    """Whether a header or the prompt of the call asks for its fault."""
    return "x-emulator-fault" in exchange.headers or b"[[emulator:" in (exchange.body or b"")


def _plain_http(source: SampleSource) -> str:
    """Statements that make the call by plain HTTP, and check the status, or where no status was
    sent, check that there is no answer."""
    url = f"images_emulator.url + {literal(source.target)}"
    exchange = source.exchange
    if exchange.status is None and (end := _end_of(exchange)):
        timeout = ", timeout=1" if exchange.fault_label in WITHOUT_END else ""
        check = f"with pytest.raises(Exception):  # the answer {end}\n"
        return f"{python_request(source, url)}{check}    urlopen(request{timeout})\n"
    status = "" if exchange.status is None else f" == {exchange.status}"
    return f"{python_http(source, url)}with answer:\n    assert answer.status{status}\n"


def _checks(source: SampleSource, sdk: SDKCall) -> Iterator[str]:
    exchange, expression = source.exchange, python_call(source, sdk)
    if exchange.outcome == "refused":
        status = exchange.status or 500
        name = "InternalServerError" if status >= 500 else ERROR_CLASSES.get(status)
        yield f"with pytest.raises(openai.{name or 'APIStatusError'}) as refusal:\n"
        yield indented(f"{expression}\n")
        yield f"assert refusal.value.status_code == {status}\n"
        yield f"assert refusal.value.code == {python_value(exchange.error_code)}\n"
    elif end := _end_of(exchange):
        if exchange.fault_label in WITHOUT_END:
            yield "client = client.with_options(timeout=1, max_retries=0)\n"
        yield f"with pytest.raises(Exception):  # the answer {end}\n"
        yield indented(f"list({expression})\n" if sdk.asks_for_stream else f"{expression}\n")
    elif exchange.outcome != "answered":
        yield f"answer = {expression}\n"
    elif sdk.asks_for_stream:
        types = [event.type for event in exchange.stream_events]
        yield f"stream = {expression}\n"
        yield f"types = {python_value(types)}\n"
        yield "assert [event.type for event in stream] == types\n"
    else:
        yield f"answer = {expression}\n"
        yield f"assert len(answer.data) == {len(exchange.image_indexes)}\n"


_ENDS: Final = {"failed": "ends with an error", "cut": "is cut"}


def _end_of(exchange: Exchange) -> str | None:
    """Why the SDK raises an exception for an answer that is no refusal; None where it does not.
    Plain HTTP raises one, too, where no status was sent."""
    if exchange.fault_label in WITHOUT_END and exchange.outcome != "answered":
        return "does not end"
    # A fault that the call asks for may spoil the picture alone, which the SDK does not look at.
    if exchange.fault_label == "malformed" and not (_asks_for_fault(exchange) and exchange.usage):
        return "cannot be read"
    return _ENDS.get(exchange.outcome)

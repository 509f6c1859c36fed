"""Code that makes a call of the journal again: as a shell command, in Python, in JavaScript, and as
a test.

A call to an image operation that OpenAI's SDKs can make is made with them. Any other, such as one
whose body is no JSON, is made by plain HTTP with the same bytes. Images come from the journal, by
their links. A key is never in the code: it is read from `OPENAI_API_KEY`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote

from images_emulator.contract.azure import deployment_in
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import (
    AZURE_PREFIX,
    DEPLOYMENTS_PREFIX,
    EDITS,
    GENERATIONS,
    VARIATIONS,
    Operation,
)
from images_emulator.contract.request import Call, Upload
from images_emulator.contract.rules import Flag, Integer
from images_emulator.exchange.details import image_items
from images_emulator.exchange.exchange import Exchange
from images_emulator.web.recorder import ADMIN_PREFIX

MAX_LINE_CHARS: Final = 72
"""Characters of a group of values that stands in one line of the code."""

MAX_ARGUMENT_BYTES: Final = 100_000
"""Bytes of a body that stands in the code; a longer one comes from the journal. Linux takes 128 KB
for one argument of a command."""

MAX_SAFE_INTEGER: Final = 2**53
"""JavaScript has no larger integers."""

PYTHON_METHODS: Final[Mapping[Operation, str]] = {
    GENERATIONS: "generate",
    EDITS: "edit",
    VARIATIONS: "create_variation",
}
JAVASCRIPT_METHODS: Final[Mapping[Operation, str]] = {
    **PYTHON_METHODS,
    VARIATIONS: "createVariation",
}

REQUIRED: Final[Mapping[Operation, frozenset[str]]] = {
    GENERATIONS: frozenset({"prompt"}),
    EDITS: frozenset({"image", "prompt"}),
    VARIATIONS: frozenset({"image"}),
}
"""The arguments without which openai-python makes no call."""

ERROR_CLASSES: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
"""What openai-python raises by the status; `InternalServerError` from 500 on."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

_PROTOTYPE: Final = "__proto__"
"""A name that sets something else in an object of JavaScript."""


NOT_IN_SDK: Final[Mapping[Operation, frozenset[str]]] = {
    GENERATIONS: frozenset(),
    EDITS: frozenset({"images", "moderation"}),
    VARIATIONS: frozenset(),
}
"""Parameters that openai-python's methods do not take by name."""


def _parameters(operation: Operation) -> Mapping[str, set[type]]:
    """The parameters of *operation* that the SDKs' methods have, each with the classes of its
    rules, of all models."""
    classes: dict[str, set[type]] = {"model": set()}
    for model in MODELS.values():
        for name, rule in model.accepts.get(operation, {}).items():
            if name not in NOT_IN_SDK[operation]:
                classes.setdefault(name, set()).add(type(rule))
    return classes


PARAMETERS: Final = {operation: _parameters(operation) for operation in PYTHON_METHODS}
"""The parameters that the SDKs' methods take by name."""


class UploadLink(NamedTuple):
    """An upload in the arguments of a call: its place in `uploads`, its name and its type."""

    place: int
    name: str
    type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """A call of the journal, and what the code needs to know of the server."""

    exchange: Exchange
    base: str
    """The server's address: `http://HOST:PORT`."""
    needs_token: bool = False
    """Whether `/_emulator` wants the admin token."""
    as_of: str = "any"
    validation: str = "strict"
    deployments: Mapping[str, str] = field(default_factory=dict)
    """Azure's deployments of the server, with their models."""

    @property
    def journal_url(self) -> str:
        return f"{self.base}{ADMIN_PREFIX}/requests/{self.exchange.id}"

    @property
    def target(self) -> str:
        """Path and query."""
        query = self.exchange.query
        return quote(self.exchange.path) + (f"?{query}" if query else "")

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that decide the answer, without the key."""
        return {
            name: value
            for name, value in self.exchange.headers.items()
            if name in ("content-type", "accept") or name.startswith("x-emulator-")
            if (name, value) != ("accept", "*/*")
        }

    @property
    def emulator_headers(self) -> Mapping[str, str]:
        headers = self.exchange.headers.items()
        return {name: value for name, value in headers if name.startswith("x-emulator-")}

    @property
    def key_header(self) -> tuple[str, str] | None:
        """The header of the API key, and what stands before the key in it; None without a key."""
        if not self.exchange.head.api_key:
            return None
        for name, scheme in (("api-key", ""), ("authorization", "Bearer ")):
            if name in self.exchange.headers:
                return name, scheme
        return None

    @property
    def text(self) -> str | None:
        """The body where it is short text; None where it comes from the journal."""
        body = self.exchange.body or b""
        if len(body) > MAX_ARGUMENT_BYTES or b"\0" in body:
            return None
        try:
            return body.decode()
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class SDKCall:
    """A call as the SDKs can make it."""

    operation: Operation
    arguments: Mapping[str, Any]
    """Values of JSON, and `UploadLink`, or lists of them."""
    is_json_edit: bool
    """Whether it is an edit or a variation with a JSON body, for which the SDKs have no method."""
    streams: bool
    prefix: str
    """The path before that of the operation."""
    deployment: str | None
    api_version: str | None
    query: Mapping[str, str]
    """The query beside `api-version` of a deployment."""

    @property
    def uses_uploads(self) -> bool:
        return any(True for _ in _links(self.arguments))


def _links(value: Any) -> Iterator[UploadLink]:
    if isinstance(value, UploadLink):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _links(each)


def _sdk_call(recorded: RecordedCall) -> SDKCall | None:
    """The call of the SDKs, or None where they cannot make it."""
    exchange, text = recorded.exchange, recorded.text
    call = exchange.parsed
    if not call or call.operation not in PYTHON_METHODS or exchange.method != "POST":
        return None
    operation = call.operation
    if not exchange.head.api_key or (text is None and not call.form):
        return None
    arguments = _form_arguments(call) if call.form else dict(call.fields)
    pairs = parse_qsl(exchange.query, keep_blank_values=True)
    query = dict(pairs)
    if arguments is None or not _is_text(arguments) or len(query) < len(pairs):
        return None
    streams = arguments.get("stream") or False
    is_json_edit = operation is not GENERATIONS and not call.form
    if not isinstance(streams, bool) or (streams and is_json_edit):
        return None
    deployment = deployment_in(exchange.path)
    version = query.pop("api-version", None) if deployment else None
    prefix, end = exchange.path[: -len(operation.route)], exchange.path[-len(operation.route) :]
    if end != operation.route or bool(deployment) != bool(version):
        return None
    if deployment and prefix != f"{DEPLOYMENTS_PREFIX}{deployment}":
        return None
    return SDKCall(operation, arguments, is_json_edit, streams, prefix, deployment, version, query)


def _form_arguments(call: Call) -> dict[str, Any] | None:
    """The arguments of a form; None where it has what the SDKs do not send."""
    items = {id(item): index for index, (_, _, item) in enumerate(image_items(call.fields))}
    classes = PARAMETERS[call.operation]

    def argument(name: str, value: Any) -> Any:
        if isinstance(value, Upload):
            return UploadLink(items[id(value)], value.filename or "upload", value.content_type)
        if isinstance(value, list):
            return [argument(name, each) for each in value]
        if Flag in classes.get(name, ()) and value in ("true", "false"):
            return value == "true"
        if Integer in classes.get(name, ()) and re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
            return int(value)
        return value

    arguments = {}
    for name, value in call.fields.items():
        values = value if isinstance(value, list) else [value]
        has_images = any(id(each) in items for each in values)
        if has_images and not all(id(each) in items for each in values):
            return None
        if not has_images and any(isinstance(each, Upload | list) for each in [value, *values]):
            return None
        arguments[name] = argument(name, value)
    return arguments


def _is_text(value: Any) -> bool:
    """Whether all strings in *value* can be sent as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


# --- shell


def curl(call: RecordedCall) -> str:
    """A command for a shell. A body that is no short text comes from the journal."""
    exchange = call.exchange
    method = ["--head"] if exchange.method == "HEAD" else ["-X", exchange.method]
    words = ["curl", "-g", *method, f"{call.base}{call.target}"]
    # Without a value the header is left out; curl would say that this is a form.
    for name, value in ({"content-type": ""} | dict(call.headers)).items():
        words += ["-H", f"{name}: {value}".rstrip()]
    line = shlex.join(words)
    if call.key_header:
        name, scheme = call.key_header
        line += f' -H "{name}: {scheme}${{OPENAI_API_KEY:-sk-test}}"'
    if not exchange.body:
        return f"{line}\n"
    if call.text is not None:
        return f"{line} --data-raw {shlex.quote(call.text)}\n"
    token = ' -H "authorization: Bearer $IMAGES_EMULATOR_ADMIN_TOKEN"' if call.needs_token else ""
    source = shlex.quote(f"{call.journal_url}/body")
    return f"curl -s{token} {source} | {line} --data-binary @-\n"


def _group(opening: str, items: Iterable[str], closing: str, pad: str = "") -> str:
    """*items* between brackets, in one line with *pad* inside of it where that is short."""
    items = [*items]
    if not items:
        return f"{opening}{closing}"
    line = f"{opening}{pad}{', '.join(items)}{pad}{closing}"
    if len(line) <= MAX_LINE_CHARS and "\n" not in line:
        return line
    lines = "".join(f"{item},\n" for item in items)
    return f"{opening}\n{_indented(lines)}{closing}"


def _indented(text: str) -> str:
    """*text* with its lines indented. Its literals may have separators that other functions take
    for ends of lines."""
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


# --- Python

PYTHON_KEY: Final = 'os.environ.get("OPENAI_API_KEY", "sk-test")'


def _text(value: str) -> str:
    """A literal of a text, the same in Python and in JavaScript."""
    return json.dumps(value, ensure_ascii=False)


def _python_value(value: Any) -> str:
    match value:
        case UploadLink():
            parts = [_text(value.name), f"upload({value.place})"]
            return _group("(", parts + ([_text(value.type)] if value.type else []), ")")
        case str():
            return _text(value)
        case Mapping():
            items = (f"{_text(name)}: {_python_value(each)}" for name, each in value.items())
            return _group("{", items, "}")
        case list():
            return _group("[", map(_python_value, value), "]")
        case _:
            return repr(value)


def _python_arguments(sdk: SDKCall, headers: Mapping[str, str]) -> Iterator[str]:
    """The arguments of the method, each in a line."""
    parameters = PARAMETERS[sdk.operation]
    others = {}
    for name, value in sdk.arguments.items():
        if name in parameters:
            yield f"{name}={_python_value(value)},"
        else:
            others[name] = value
    extra = {"extra_body": others, "extra_headers": headers, "extra_query": sdk.query}
    for name, value in extra.items():
        if value:
            yield f"{name}={_python_value(value)},"


def _python_call(call: RecordedCall, sdk: SDKCall) -> str:
    """The expression of the call."""
    if sdk.is_json_edit:
        lines = [
            f"{_text(sdk.operation.route)},",
            "cast_to=openai.types.ImagesResponse,",
            f"body={_python_value(sdk.arguments)},",
        ]
        options = {"headers": call.emulator_headers, "params": sdk.query}
        options = {option: value for option, value in options.items() if value}
        lines += [f"options={_python_value(options)},"] if options else []
        method = "client.post"
    else:
        lines = [*_python_arguments(sdk, call.emulator_headers)]
        method = f"client.images.{PYTHON_METHODS[sdk.operation]}"
    return "{}(\n{}\n)".format(method, _indented("\n".join(lines)))


def _python_client(sdk: SDKCall, *settings: str) -> str:
    """The expression of the client, with *settings* beside its own."""
    if not sdk.deployment:
        return _group("openai.OpenAI(", [*settings, "max_retries=0"], ")")
    own = [
        f"azure_deployment={_text(sdk.deployment)}",
        f"api_version={_text(sdk.api_version or '')}",
    ]
    return _group("openai.AzureOpenAI(", [*settings, *own, "max_retries=0"], ")")


def _python_download(call: RecordedCall, url: str) -> str:
    """The expression of the bytes at *url*, which is one, too."""
    if not call.needs_token:
        return f"urlopen({url}).read()"
    bearer = "f\"Bearer {os.environ['IMAGES_EMULATOR_ADMIN_TOKEN']}\""
    return f'urlopen(Request({url}, headers={{"authorization": {bearer}}})).read()'


def _python_upload(call: RecordedCall) -> str:
    url = f'f"{call.journal_url}/uploads/{{index}}"'
    return f'''

def upload(index):
    """An image of the call, from the emulator's journal."""
    url = {url}
    return {_python_download(call, "url")}

'''


def _python_save(call: RecordedCall, data: str) -> str:
    """The statement that writes a picture, *data* in base64, to a file with its `number`."""
    name = call.exchange.details.parameters.get("output_format")
    ending = {"jpeg": "jpg", "webp": "webp", "gif": "gif", "svg": "svg"}.get(str(name), "png")
    return f'Path(f"picture-{{number}}.{ending}").write_bytes(base64.b64decode({data}))'


def _python_imports(*names: str, code: str) -> str:
    """The lines that import *names*, and what *code* uses of the standard library."""
    modules = {"import base64": "base64.", "import os": "os.environ"}
    lines = [line for line, use in modules.items() if use in code]
    if "Path(" in code:
        lines.append("from pathlib import Path")
    if "HTTPError" in code:
        lines.append("from urllib.error import HTTPError")
    requests = [name for name in ("Request", "urlopen") if f"{name}(" in code]
    if requests:
        lines.append(f"from urllib.request import {', '.join(requests)}")
    return "\n".join([*lines, *([""] if lines and names else []), *names])


def python(call: RecordedCall) -> str:
    """A program in Python."""
    sdk = _sdk_call(call)
    if not sdk or not (sdk.is_json_edit or REQUIRED[sdk.operation] <= sdk.arguments.keys()):
        code = _python_http(call, _text(f"{call.base}{call.target}"))
        code += 'with answer:\n    print(answer.status, answer.read().decode(errors="replace"))\n'
        return f"{_python_imports(code=code)}\n\n{code}"
    address = call.base if sdk.deployment else f"{call.base}{sdk.prefix}"
    setting = "azure_endpoint" if sdk.deployment else "base_url"
    client = _python_client(sdk, f"{setting}={_text(address)}", f"api_key={PYTHON_KEY}")
    code = _python_upload(call) if sdk.uses_uploads else ""
    code += f"\nclient = {client}\n"
    if sdk.streams:
        code += f"stream = {_python_call(call, sdk)}\n"
        code += "for number, event in enumerate(stream):\n"
        code += "    print(event.type)\n"
        code += '    if b64_json := getattr(event, "b64_json", None):\n'
        code += f"        {_python_save(call, 'b64_json')}\n"
    else:
        code += f"answer = {_python_call(call, sdk)}\n"
        code += "for number, image in enumerate(answer.data):\n"
        code += "    if image.url:\n        print(image.url)\n    else:\n"
        code += f"        {_python_save(call, 'image.b64_json')}\n"
    return f"{_python_imports('import openai', code=code)}\n{code}"


def _python_http(call: RecordedCall, url: str) -> str:
    """Statements that make the call by plain HTTP; `answer` is the answer, also a refusal."""
    exchange = call.exchange
    lines, body = [f"{url},", f"method={_text(exchange.method)},"], ""
    if exchange.body and call.text is not None:
        lines.append(f"data={_text(call.text)}.encode(),")
    elif exchange.body:
        body = f"body = {_python_download(call, _text(f'{call.journal_url}/body'))}\n"
        lines.append("data=body,")
    headers = [f"{_text(name)}: {_text(value)}" for name, value in call.headers.items()]
    if "content-type" not in call.headers:
        headers.append('"content-type": ""')
    if call.key_header:
        name, scheme = call.key_header
        headers.append(f"{_text(name)}: {_text(scheme)} + {PYTHON_KEY}")
    lines.append(f"headers={_group('{', headers, '}')},")
    request = _indented("\n".join(lines))
    return (
        f"{body}request = Request(\n{request}\n)\n"
        "try:\n    answer = urlopen(request)\nexcept HTTPError as error:\n    answer = error\n"
    )


# --- a test


def pytest(call: RecordedCall) -> str:
    """A test with the fixture of the pytest plugin, which expects what the call was answered."""
    sdk = _sdk_call(call)
    sdk = sdk and _with_models(sdk, call.deployments)
    if not sdk or not (sdk.is_json_edit or REQUIRED[sdk.operation] <= sdk.arguments.keys()):
        url = f"images_emulator.url + {_text(call.target)}"
        body = _python_http(call, url)
        body += f"with answer:\n    assert answer.status == {call.exchange.status}\n"
        names: Sequence[str] = ()
    else:
        checks = _indented("".join(_pytest_checks(call, sdk)))
        body = f"with {_pytest_client(sdk)} as client:\n{checks}"
        names = ("import openai",)
    body = _pytest_fault(call) + body
    test = f"def test_call(images_emulator):\n{_indented(body)}"
    upload = f"{_python_upload(call).strip()}\n\n\n" if sdk and sdk.uses_uploads else ""
    code = f"{upload}{_pytest_marker(call)}{test}"
    extra = ["import pytest"] if "pytest." in code else []
    imports = _python_imports(*names, *extra, code=code)
    return f"{imports}\n\n\n{code}" if imports else code


def _pytest_client(sdk: SDKCall) -> str:
    if sdk.deployment or sdk.prefix == "/v1":
        return _python_client(sdk)
    return _python_client(sdk, f"base_url=images_emulator.url + {_text(sdk.prefix)}")


def _pytest_marker(call: RecordedCall) -> str:
    values = {"as_of": (call.as_of, "any"), "validation": (call.validation, "strict")}
    changed = [
        f"{name}={_text(value)}" for name, (value, default) in values.items() if value != default
    ]
    return f"@pytest.mark.images_emulator({', '.join(changed)})\n" if changed else ""


def _with_models(sdk: SDKCall, deployments: Mapping[str, str]) -> SDKCall:
    """The same call to the models behind *deployments*. The server of a test has none, and takes a
    model's name for that of its deployment."""
    arguments = dict(sdk.arguments)
    if sdk.prefix.startswith(AZURE_PREFIX) and isinstance(name := arguments.get("model"), str):
        arguments["model"] = deployments.get(name, name)
    name = sdk.deployment
    return replace(sdk, arguments=arguments, deployment=name and deployments.get(name, name))


def _pytest_fault(call: RecordedCall) -> str:
    """A statement that injects the fault of the call, with its defaults; an error of one's own with
    status and message."""
    exchange = call.exchange
    asks = "x-emulator-fault" in exchange.headers or b"[[emulator:" in (exchange.body or b"")
    if exchange.fault is None or asks:
        return ""
    arguments = [_python_value(exchange.fault)]
    if exchange.fault == "error":
        message = (exchange.error or {}).get("message") or ""
        arguments += [f"status={exchange.status}", f"message={_python_value(message)}"]
    return f"images_emulator.inject({', '.join(arguments)})\n"


def _pytest_checks(call: RecordedCall, sdk: SDKCall) -> Iterator[str]:
    exchange, expression = call.exchange, _python_call(call, sdk)
    if exchange.outcome == "refused":
        status = exchange.status or 500
        name = "InternalServerError" if status >= 500 else ERROR_CLASSES.get(status)
        yield f"with pytest.raises(openai.{name or 'APIStatusError'}) as refusal:\n"
        yield _indented(f"{expression}\n")
        yield f"assert refusal.value.status_code == {status}\n"
        yield f"assert refusal.value.code == {_python_value(exchange.error_code)}\n"
    elif exchange.outcome != "answered":
        if exchange.outcome in {"failed", "cut"}:
            yield f"with pytest.raises(Exception):  # the answer {_ENDS[exchange.outcome]}\n"
            yield _indented(f"list({expression})\n" if sdk.streams else f"{expression}\n")
        else:
            yield f"answer = {expression}\n"
    elif sdk.streams:
        types = [event.type for event in exchange.stream]
        yield f"stream = {expression}\n"
        yield f"types = {_python_value(types)}\n"
        yield "assert [event.type for event in stream] == types\n"
    else:
        yield f"answer = {expression}\n"
        yield f"assert len(answer.data) == {len(exchange.images)}\n"


_ENDS: Final = {"failed": "ends with an error", "cut": "is cut"}


# --- JavaScript

JAVASCRIPT_KEY: Final = 'process.env.OPENAI_API_KEY ?? "sk-test"'


def _javascript_value(value: Any) -> str:
    match value:
        case UploadLink():
            kind = f", {{ type: {_text(value.type)} }}" if value.type else ""
            return f"await toFile(await upload({value.place}), {_text(value.name)}{kind})"
        case str():
            return _text(value)
        case Mapping():
            items = (
                f"{_javascript_name(name)}: {_javascript_value(each)}"
                for name, each in value.items()
            )
            return _group("{", items, "}", pad=" ")
        case list():
            return _group("[", map(_javascript_value, value), "]")
        case _:
            return json.dumps(value)


def _javascript_name(name: str) -> str:
    if name == _PROTOTYPE:
        return f'["{name}"]'
    return name if _IDENTIFIER.fullmatch(name) else _text(name)


def _javascript_has(value: Any) -> bool:
    """Whether JavaScript has all numbers in *value*."""
    match value:
        case Mapping():
            return all(map(_javascript_has, value.values()))
        case list():
            return all(map(_javascript_has, value))
        case bool():
            return True
        case int():
            return abs(value) <= MAX_SAFE_INTEGER
        case _:
            return True


def _javascript_download(call: RecordedCall, url: str) -> str:
    """The expression of the bytes at *url*, an expression of JavaScript."""
    bearer = "`Bearer ${process.env.IMAGES_EMULATOR_ADMIN_TOKEN}`"
    options = f", {{ headers: {{ authorization: {bearer} }} }}" if call.needs_token else ""
    return f"(await fetch({url}{options})).arrayBuffer()"


def javascript(call: RecordedCall) -> str:
    """A module for Node.js."""
    sdk = _sdk_call(call)
    if not sdk or not _javascript_has(sdk.arguments):
        return _javascript_http(call)
    name = "AzureOpenAI" if sdk.deployment else "OpenAI"
    names = [name, *(["toFile"] if sdk.uses_uploads else [])]
    default = [] if sdk.deployment else [names.pop(0)]
    imported = ", ".join([*default, *([f"{{ {', '.join(names)} }}"] if names else [])])
    lines = [f'import {imported} from "openai";', ""]
    address = call.base if sdk.deployment else f"{call.base}{sdk.prefix}"
    options = {
        "endpoint" if sdk.deployment else "baseURL": _text(address),
        **({"deployment": _text(sdk.deployment)} if sdk.deployment else {}),
        **({"apiVersion": _text(sdk.api_version)} if sdk.api_version else {}),
        "apiKey": JAVASCRIPT_KEY,
        "maxRetries": "0",
    }
    shown = _indented("".join(f"{option}: {value},\n" for option, value in options.items()))
    lines.append(f"const client = new {name}({{\n{shown}}});")
    if sdk.uses_uploads:
        url = f"`{call.journal_url}/uploads/${{index}}`"
        lines.append("// An image of the call, from the emulator's journal.")
        lines.append("const upload = async (index) => {")
        lines.append(f"    const url = {url};")
        lines.append(f"    return {_javascript_download(call, 'url')};")
        lines.append("};")
    extra: dict[str, Any] = {"headers": dict(call.emulator_headers), "query": dict(sdk.query)}
    extra = {option: value for option, value in extra.items() if value}
    if sdk.is_json_edit:
        body = _javascript_value({"body": sdk.arguments, **extra})
        expression = f"await client.post({_text(sdk.operation.route)}, {body})"
    else:
        arguments = _indented(
            "".join(
                f"{_javascript_name(each)}: {_javascript_value(value)},\n"
                for each, value in sdk.arguments.items()
            )
        )
        more = f", {_javascript_value(extra)}" if extra else ""
        method = f"client.images.{JAVASCRIPT_METHODS[sdk.operation]}"
        expression = f"await {method}({{\n{arguments}}}{more})"
    if sdk.streams:
        lines.append(f"const stream = {expression};")
        lines.append("for await (const event of stream) console.log(event.type);")
    else:
        lines.append(f"const answer = {expression};")
        lines.append("for (const image of answer.data)")
        lines.append(
            "    console.log(image.url ?? `${image.b64_json.length} characters of base64`);"
        )
    return "\n".join(lines) + "\n"


def _javascript_http(call: RecordedCall) -> str:
    """A module that makes the call by plain HTTP."""
    exchange = call.exchange
    headers = [f"{_text(name)}: {_text(value)}" for name, value in call.headers.items()]
    if call.key_header:
        name, scheme = call.key_header
        headers.append(f"{_text(name)}: {_text(scheme)} + ({JAVASCRIPT_KEY})")
    lines = [f"method: {_text(exchange.method)}", f"headers: {_group('{', headers, '}', pad=' ')}"]
    if exchange.body and exchange.method not in {"GET", "HEAD"}:
        # A text without a type would get one.
        is_text = call.text is not None and "content-type" in call.headers
        url = _text(f"{call.journal_url}/body")
        body = _text(call.text or "") if is_text else f"await {_javascript_download(call, url)}"
        lines.append(f"body: {body}")
    options = _indented("".join(f"{line},\n" for line in lines))
    return (
        f"const answer = await fetch({_text(f'{call.base}{call.target}')}, {{\n{options}}});\n"
        "console.log(answer.status, await answer.text());\n"
    )


LANGUAGES: Final[Mapping[str, Callable[[RecordedCall], str]]] = {
    "curl": curl,
    "python": python,
    "javascript": javascript,
    "pytest": pytest,
}
"""The functions that write the code, by what they write."""

"""A call as a module for Node.js: with openai-node, else with `fetch`. It is strictly typed
TypeScript, too, where the SDK has types for the arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from images_emulator.contract.operations import VARIATIONS, Operation
from images_emulator.web.code_samples.code_layout import group, indented, literal
from images_emulator.web.code_samples.sdk_call import (
    PYTHON_METHODS,
    SampleSource,
    UploadLink,
    sdk_call,
)

MAX_SAFE_INTEGER: Final = 2**53
"""The number up to which JavaScript holds every integer exactly."""

MIN_EXPONENT_NUMBER: Final = 1e21
"""The number from which on JavaScript writes an exponent, which makes it a float in JSON."""

JAVASCRIPT_METHODS: Final[Mapping[Operation, str]] = {
    **PYTHON_METHODS,
    VARIATIONS: "createVariation",
}
"""The names of the methods of openai-node's `client.images`."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

_PROTOTYPE: Final = "__proto__"
"""A name that sets the prototype of an object in JavaScript, and no property."""

JAVASCRIPT_KEY: Final = 'process.env.OPENAI_API_KEY ?? "sk-test"'
"""The expression of the API key."""


def _value(value: Any) -> str:
    """The expression of a JSON value or an upload."""
    match value:
        case UploadLink():
            name = literal(value.name)
            options = f", {{ type: {literal(value.type)} }}" if value.type else ""
            return f"await toFile(await upload({value.upload_index}), {name}{options})"
        case str():
            return literal(value)
        case Mapping():
            items = (f"{_name(name)}: {_value(each)}" for name, each in value.items())
            return group("{", items, "}", pad=" ")
        case list():
            return group("[", map(_value, value), "]")
        case _:
            return json.dumps(value)


def _name(name: str) -> str:
    """The name of a property, as it stands in an object."""
    if name == _PROTOTYPE:
        return f'["{name}"]'
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def _has_safe_numbers(value: Any) -> bool:
    """Whether JavaScript sends all numbers in *value* as they are. It has no integers apart from
    floats: it sends 1.0 as 1, and -0.0 as 0."""
    match value:
        case Mapping():
            return all(map(_has_safe_numbers, value.values()))
        case list():
            return all(map(_has_safe_numbers, value))
        case bool():
            return True
        case int():
            return abs(value) <= MAX_SAFE_INTEGER
        case float():
            return not value.is_integer() or abs(value) >= MIN_EXPONENT_NUMBER
        case _:
            return True


def _download(source: SampleSource, url: str) -> str:
    """The expression of the bytes at *url*, itself an expression."""
    bearer = "`Bearer ${process.env.IMAGES_EMULATOR_ADMIN_TOKEN}`"
    options = f", {{ headers: {{ authorization: {bearer} }} }}" if source.needs_token else ""
    return f"(await fetch({url}{options})).arrayBuffer()"


def _save(source: SampleSource, data: str) -> str:
    """The statement that writes a picture, *data* in base64, to a file with its `number`."""
    return f'await writeFile(`picture-${{number}}.{source.picture_suffix}`, {data}, "base64");'


def javascript_code(source: SampleSource) -> str:
    """A module for Node.js."""
    sdk = sdk_call(source)
    if not sdk or not _has_safe_numbers(sdk.arguments):
        return _http(source)
    name = "AzureOpenAI" if sdk.deployment else "OpenAI"
    names = [name, *(["toFile"] if sdk.uses_uploads else [])]
    default = [] if sdk.deployment else [names.pop(0)]
    imported = ", ".join([*default, *([f"{{ {', '.join(names)} }}"] if names else [])])
    lines = [
        'import { writeFile } from "node:fs/promises";',
        f'import {imported} from "openai";',
        "",
    ]
    address = source.base if sdk.deployment else f"{source.base}{sdk.prefix}"
    options = {
        "endpoint" if sdk.deployment else "baseURL": literal(address),
        **({"deployment": literal(sdk.deployment)} if sdk.deployment else {}),
        **({"apiVersion": literal(sdk.api_version)} if sdk.api_version else {}),
        "apiKey": JAVASCRIPT_KEY,
        "maxRetries": "0",
    }
    shown = indented("".join(f"{option}: {value},\n" for option, value in options.items()))
    lines.append(f"const client = new {name}({{\n{shown}}});")
    if sdk.uses_uploads:
        url = f"`{source.journal_url}/uploads/${{index}}`"
        lines.append("// An image of the call, from the emulator's journal.")
        # The default value tells the type to TypeScript, in the syntax of JavaScript.
        lines.append("const upload = async (index = 0) => {")
        lines.append(f"    const url = {url};")
        lines.append(f"    return {_download(source, 'url')};")
        lines.append("};")
    extra: dict[str, Any] = {"headers": dict(source.emulator_headers), "query": dict(sdk.query)}
    extra = {option: value for option, value in extra.items() if value}
    if sdk.is_json_with_images:
        body = _value({"body": sdk.arguments, **extra})
        # The SDK knows no type of the answer; `Object` makes it any.
        expression = f"Object(await client.post({literal(sdk.operation.subpath)}, {body}))"
    else:
        arguments = indented(
            "".join(f"{_name(each)}: {_value(value)},\n" for each, value in sdk.arguments.items())
        )
        more = f", {_value(extra)}" if extra else ""
        method = f"client.images.{JAVASCRIPT_METHODS[sdk.operation]}"
        expression = f"await {method}({{\n{arguments}}}{more})"
    if sdk.asks_for_stream:
        lines.append(f"const stream = {expression};")
        lines.append("let number = 0;")
        lines.append("for await (const event of stream) {")
        lines.append("    console.log(event.type);")
        lines.append(f"    if (event.b64_json) {_save(source, 'event.b64_json')}")
        lines.append("    number += 1;")
        lines.append("}")
    else:
        lines.append(f"const answer = {expression};")
        lines.append("for (const [number, image] of (answer.data ?? []).entries()) {")
        lines.append("    if (image.url) console.log(image.url);")
        lines.append(f"    if (image.b64_json) {_save(source, 'image.b64_json')}")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _http(source: SampleSource) -> str:
    """A module that makes the call by plain HTTP."""
    exchange = source.exchange
    headers = [f"{literal(name)}: {literal(value)}" for name, value in source.headers.items()]
    if source.key_header:
        name, scheme = source.key_header
        headers.append(f"{literal(name)}: {literal(scheme)} + ({JAVASCRIPT_KEY})")
    lines = [
        f"method: {literal(exchange.method)}",
        f"headers: {group('{', headers, '}', pad=' ')}",
    ]
    if exchange.body and exchange.method not in {"GET", "HEAD"}:
        # `fetch` would give a text without a `content-type` one.
        is_text = source.text is not None and "content-type" in source.headers
        url = literal(f"{source.journal_url}/body")
        body = literal(source.text or "") if is_text else f"await {_download(source, url)}"
        lines.append(f"body: {body}")
    options = indented("".join(f"{line},\n" for line in lines))
    target = literal(f"{source.base}{source.target}")
    return (
        f"const answer = await fetch({target}, {{\n{options}}});\n"
        "console.log(answer.status, await answer.text());\n"
    )

"""A call as a program in Python: with openai-python, else with the standard library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from images_emulator.web.code_samples.code_layout import group, indented, literal
from images_emulator.web.code_samples.sdk_call import (
    PYTHON_METHODS,
    SDK_PARAMETERS,
    SampleSource,
    SDKCall,
    UploadLink,
    sdk_call,
)

PYTHON_KEY: Final = 'os.environ.get("OPENAI_API_KEY", "sk-test")'
"""The expression of the API key."""


def python_value(value: Any) -> str:
    """The expression of a JSON value or an upload."""
    match value:
        case UploadLink():
            parts = [literal(value.name), f"upload({value.upload_index})"]
            return group("(", parts + ([literal(value.type)] if value.type else []), ")")
        case str():
            return literal(value)
        case Mapping():
            items = (f"{literal(name)}: {python_value(each)}" for name, each in value.items())
            return group("{", items, "}")
        case list():
            return group("[", map(python_value, value), "]")
        case _:
            return repr(value)


def _arguments(sdk: SDKCall, headers: Mapping[str, str]) -> Iterator[str]:
    """The arguments of the method, each in a line."""
    parameters = SDK_PARAMETERS[sdk.operation]
    others = {}
    for name, value in sdk.arguments.items():
        if name in parameters:
            yield f"{name}={python_value(value)},"
        else:
            others[name] = value
    extra = {"extra_body": others, "extra_headers": headers, "extra_query": sdk.query}
    for name, value in extra.items():
        if value:
            yield f"{name}={python_value(value)},"


def python_call(source: SampleSource, sdk: SDKCall) -> str:
    """The expression that makes the call *sdk* by OpenAI's SDK; its value is the answer."""
    if sdk.is_json_with_images:
        lines = [
            f"{literal(sdk.operation.subpath)},",
            "cast_to=openai.types.ImagesResponse,",
            f"body={python_value(sdk.arguments)},",
        ]
        options = {"headers": source.emulator_headers, "params": sdk.query}
        options = {option: value for option, value in options.items() if value}
        lines += [f"options={python_value(options)},"] if options else []
        method = "client.post"
    else:
        lines = [*_arguments(sdk, source.emulator_headers)]
        method = f"client.images.{PYTHON_METHODS[sdk.operation]}"
    return "{}(\n{}\n)".format(method, indented("\n".join(lines)))


def python_client(sdk: SDKCall, *settings: str) -> str:
    """The expression of the client, with *settings* beside its own."""
    if not sdk.deployment:
        return group("openai.OpenAI(", [*settings, "max_retries=0"], ")")
    own = [
        f"azure_deployment={literal(sdk.deployment)}",
        f"api_version={literal(sdk.api_version or '')}",
    ]
    return group("openai.AzureOpenAI(", [*settings, *own, "max_retries=0"], ")")


def _download(source: SampleSource, url: str) -> str:
    """The expression of the bytes at *url*, itself an expression."""
    if not source.needs_token:
        return f"urlopen({url}).read()"
    bearer = "f\"Bearer {os.environ['IMAGES_EMULATOR_ADMIN_TOKEN']}\""
    return f'urlopen(Request({url}, headers={{"authorization": {bearer}}})).read()'


def python_upload(source: SampleSource) -> str:
    """The function `upload(index)` of the program, between blank lines."""
    url = f'f"{source.journal_url}/uploads/{{index}}"'
    return f'''

def upload(index):
    """An image of the call, from the emulator's journal."""
    url = {url}
    return {_download(source, "url")}

'''


def _save(source: SampleSource, data: str) -> str:
    """The statement that writes a picture, *data* in base64, to a file with its `number`."""
    name = f"picture-{{number}}.{source.picture_suffix}"
    return f'Path(f"{name}").write_bytes(base64.b64decode({data}))'


def python_imports(*names: str, code: str) -> str:
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


def python_code(source: SampleSource) -> str:
    """A program in Python."""
    sdk = sdk_call(source)
    if not (sdk and sdk.has_required):
        code = python_http(source, literal(f"{source.base}{source.target}"))
        code += 'with answer:\n    print(answer.status, answer.read().decode(errors="replace"))\n'
        return f"{python_imports(code=code)}\n\n{code}"
    address = source.base if sdk.deployment else f"{source.base}{sdk.prefix}"
    setting = "azure_endpoint" if sdk.deployment else "base_url"
    client = python_client(sdk, f"{setting}={literal(address)}", f"api_key={PYTHON_KEY}")
    code = python_upload(source) if sdk.uses_uploads else ""
    code += f"\nclient = {client}\n"
    if sdk.asks_for_stream:
        code += f"stream = {python_call(source, sdk)}\n"
        code += "for number, event in enumerate(stream):\n"
        code += "    print(event.type)\n"
        code += '    if b64_json := getattr(event, "b64_json", None):\n'
        code += f"        {_save(source, 'b64_json')}\n"
    else:
        code += f"answer = {python_call(source, sdk)}\n"
        code += "for number, image in enumerate(answer.data):\n"
        code += "    if image.url:\n        print(image.url)\n    else:\n"
        code += f"        {_save(source, 'image.b64_json')}\n"
    return f"{python_imports('import openai', code=code)}\n{code}"


def python_http(source: SampleSource, url: str) -> str:
    """Statements that make the call by plain HTTP; `answer` is the answer, also a refusal."""
    return python_request(source, url) + (
        "try:\n    answer = urlopen(request)\nexcept HTTPError as error:\n    answer = error\n"
    )


def python_request(source: SampleSource, url: str) -> str:
    """Statements that make the `request` of the call for plain HTTP."""
    exchange = source.exchange
    lines, body = [f"{url},", f"method={literal(exchange.method)},"], ""
    if exchange.body and source.text is not None:
        lines.append(f"data={literal(source.text)}.encode(),")
    elif exchange.body:
        body = f"body = {_download(source, literal(f'{source.journal_url}/body'))}\n"
        lines.append("data=body,")
    headers = [f"{literal(name)}: {literal(value)}" for name, value in source.headers.items()]
    if "content-type" not in source.headers:
        headers.append('"content-type": ""')
    if source.key_header:
        name, scheme = source.key_header
        headers.append(f"{literal(name)}: {literal(scheme)} + {PYTHON_KEY}")
    lines.append(f"headers={group('{', headers, '}')},")
    request = indented("\n".join(lines))
    return f"{body}request = Request(\n{request}\n)\n"

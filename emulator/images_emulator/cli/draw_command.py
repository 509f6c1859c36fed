"""`images-emulator draw`: makes one call for a picture, and saves it."""

from __future__ import annotations

import json
import os
import re
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from images_emulator.admin_client import (
    AdminClient,
    ServerAddress,
    parse_json,
    read,
    server_sent_events,
)
from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import argument_type, path_text, read_settings
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.client_errors import UnreachableError
from images_emulator.file_types import FILE_TYPES, file_type_of, file_type_of_suffix
from images_emulator.setting_values import parse_as_of

T = TypeVar("T")

USAGE: Final = "PROMPT [OPTIONS]"

DESCRIPTION: Final = """\
Draw a picture by one call, save it in the working directory, and print its
path. Where no server runs at the default address, the command starts one of
its own. It prints the sentence of an API error, and exits with status 1."""

EXAMPLES: Final = """\
  images-emulator draw "A lighthouse"
  images-emulator draw "A ship" --size 1536x1024 --quality high --format webp
  images-emulator draw "A red door" --edit house.png --mask mask.png
  images-emulator draw "A logo" --set background=transparent -o logo.png"""

PARTIAL_IMAGES: Final = 2
"""The number of partial images of a stream, unless `--set` gives another."""

MAX_NAME_CHARS: Final = 60
"""The most characters of a prompt in the name of a file."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("prompt", metavar="PROMPT", help="What is drawn")
    for flag, name, metavar, text in (
        ("--model", "model", "MODEL", "Model [the newest that the server has]"),
        ("--size", "size", "SIZE", "Such as 1024x1024"),
        ("--quality", "quality", "WORD", "Such as low, medium or high"),
        ("--format", "output_format", "WORD", "Such as png, jpeg or webp"),
    ):
        parser.add_argument(flag, dest=name, metavar=metavar, help=text)
    parser.add_argument(
        "--set",
        dest="more",
        metavar="NAME=VALUE",
        type=argument_type(_parameter),
        action="append",
        default=[],
        help="Any other parameter, such as n=2",
    )
    parser.add_argument(
        "--edit",
        nargs="+",
        default=[],
        metavar="FILE",
        type=path_text,
        help="Edit these pictures",
    )
    parser.add_argument(
        "--mask", metavar="FILE", type=path_text, help="Only where this PNG is transparent"
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="Stream it, and report each partial image",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=path_text,
        help="Save it there, in the format of the name",
    )
    add_address(parser)


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"must be NAME=VALUE, not {text!r}")
    parsed = parse_json(value.encode())
    return name, value if parsed is None else parsed


def run(
    *,
    prompt: str,
    more: Sequence[tuple[str, Any]],
    edit: Sequence[str],
    mask: str | None,
    stream: bool,
    output: str | None,
    **options: Any,
) -> int:
    if mask and not edit:
        raise ValueError("--mask needs a picture: --edit FILE")
    names = ("model", "size", "quality", "output_format")
    parameters = {name: value for name in names if (value := options.pop(name)) is not None}
    parameters |= _format_of(output, {**parameters, **dict(more)}.get("output_format"))
    streamed = {"stream": True, "partial_images": PARTIAL_IMAGES} if stream else {}
    fields = {**parameters, "prompt": prompt, **streamed, **dict(more)}
    files = [("image[]", name) for name in edit] + ([("mask", mask)] if mask else [])
    with _client(options) as client:
        fields = {"model": None, **fields}
        fields["model"] = fields["model"] or _newest_model(client, edit=bool(edit))
        pictures = _draw(client, fields, files)
    for path, picture in zip(_paths(output, prompt, pictures), pictures, strict=True):
        _save(path, picture)
        print(path)
    return 0


@contextmanager
def _client(options: Mapping[str, Any]) -> Iterator[AdminClient]:
    """A client of the server that the *options* name. Where they name none and none runs, a server
    is started for it. Raises CommandError."""
    address = server_address(**options)
    client = AdminClient(address)
    try:
        client.get("health")
    except UnreachableError:
        if not address.is_default:
            raise
    else:
        yield client
        return
    from images_emulator.server import Server  # noqa: PLC0415 - it loads uvicorn
    from images_emulator.settings import Settings, all_settings  # noqa: PLC0415 - for it

    values = read_settings(**{name: options[name] for name in options if name != "namespace"})
    settings = {each.name: values[each.name] for each in all_settings()}
    with Server(Settings(**settings | {"host": "127.0.0.1", "port": 0})) as server:
        yield AdminClient(ServerAddress(server.url, address.token, address.key))


def _format_of(output: str | None, word: str | None) -> dict[str, str]:
    """The parameter for the picture format that the name of the file *output* implies. Empty where
    the name implies none, and for PNG, which every model draws by default. Raises ValueError where
    *word*, the format from the command line, is another one."""
    file_type = file_type_of_suffix(Path(output or "").suffix)
    if file_type is None:
        return {}
    from images_emulator.contract.models import words_of  # noqa: PLC0415 - it loads the API's tables

    formats = words_of("output_format")
    named_format = next((each for each in formats if FILE_TYPES.get(each) is file_type), None)
    if named_format is None:
        return {}
    if word not in (None, named_format):
        raise ValueError(
            f"{output} has the name of a file in {named_format}, and the format is {word}"
        )
    return {} if named_format == "png" else {"output_format": named_format}


def _newest_model(client: AdminClient, *, edit: bool) -> str:
    """The newest model that draws, or edits, on the day of the server's `as_of`; `today`
    is that of this machine. The admin API tells the setting: a call of the API would be in the
    journal, and could meet a fault."""
    # These modules load the API's tables.
    from images_emulator.contract.operations import EDITS, GENERATIONS  # noqa: PLC0415
    from images_emulator.contract.tables_of_day import tables_on  # noqa: PLC0415

    as_of = parse_as_of(client.get("settings")["as_of"], datetime.now(UTC).date())
    return tables_on(as_of).newest_model(EDITS if edit else GENERATIONS).id


def _draw(
    client: AdminClient, fields: Mapping[str, Any], files: Sequence[tuple[str, str]]
) -> list[bytes]:
    """Make the call, and return the pictures of its answer. Raises CommandError."""
    if files:
        path, (content_type, body) = "/v1/images/edits", _form(fields, files)
    else:
        path, content_type = "/v1/images/generations", "application/json"
        body = json.dumps(fields).encode()
    headers = {"content-type": content_type}
    if fields.get("stream") is True:
        return [_post_streaming_call(client, path, headers, body)]
    answer = _post_call(client, path, headers, body)
    items = answer.get("data")
    if not items or not isinstance(items, list):
        raise CommandError("the answer has no picture")
    return [_read_picture(item) for item in items]


def _read_picture(item: Any) -> bytes:
    """The picture of one *item* of the list `data` in an answer. Raises CommandError."""
    match item:
        case {"b64_json": str(text)} if text:
            return _from_base64(text)
        case {"url": str(url)} if url:
            return _fetch(url)
    raise CommandError("the answer has an image with neither base64 nor URL")


def _post_call(
    client: AdminClient, path: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Make the call by POST, and return the JSON of its answer. Raises CommandError with the API's
    sentence."""
    headers = {**headers, "authorization": f"Bearer {client.address.key}"}
    with client.request("POST", path, headers, body) as response:
        document = parse_json(read(response, client.address.url))
    if response.status >= 400 or not isinstance(document, dict):
        raise CommandError(_sentence(document, response.status))
    return document


def _sentence(document: Any, status: int) -> str:
    """The sentence of the error in an answer."""
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message) if message else f"the answer has the status {status}, and no sentence"


def _post_streaming_call(
    client: AdminClient, path: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    """Make the call, and return the picture at the end of its stream. Raises CommandError."""
    headers = {**headers, "authorization": f"Bearer {client.address.key}"}
    with client.request("POST", path, headers, body) as response:
        if response.status >= 400:
            document = parse_json(read(response, client.address.url))
            raise CommandError(_sentence(document, response.status))
        for name, data in server_sent_events(response, client.address.url):
            if name == "error":
                raise CommandError(_sentence(data, response.status))
            if name.endswith(".partial_image"):
                number = _event_field(name, data, "partial_image_index", int) + 1
                print(f"partial image {number}", file=sys.stderr)
            elif name.endswith(".completed"):
                return _from_base64(_event_field(name, data, "b64_json", str))
    raise CommandError("the stream ended before its picture")


def _event_field(name: str, data: Any, field: str, kind: type[T]) -> T:
    """The value of *field* in the *data* of an event with that *name*. Raises CommandError where
    *data* is no object, or the value is not of that *kind*."""
    value = data.get(field) if isinstance(data, dict) else None
    if not isinstance(value, kind):
        raise CommandError(f"the stream has an event {name} without a valid {field}")
    return value


def _from_base64(text: str) -> bytes:
    """The bytes of base64. Raises CommandError where *text* is no base64."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise CommandError("the answer has base64 that does not decode") from None


def _fetch(url: str) -> bytes:
    """The picture at the *url* from an answer. Raises CommandError, and ServerError where there is
    no whole answer."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        # The client would blame the API key for a path that is not ASCII.
        if not (is_valid and url.isascii()):
            raise ValueError(url)
        address = ServerAddress(f"{parts.scheme}://{parts.netloc}", key="")
        target = f"{parts.path}?{parts.query}"
        with AdminClient(address).request("GET", target, {}) as response:
            data = read(response, url)
    except (ValueError, HTTPException):
        # The name of the host is only checked when the connection is made.
        raise CommandError(f"the answer has {url!r} as the URL of a picture") from None
    if response.status >= 400:
        raise CommandError(f"{url} answered {response.status}")
    return data


def _form(fields: Mapping[str, Any], files: Sequence[tuple[str, str]]) -> tuple[str, bytes]:
    """The media type and the bytes of a form. Raises CommandError for a file that cannot be
    read."""
    boundary = os.urandom(16).hex()
    parts = []
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value)
        parts.append((f'name="{_quote(name)}"', "", text.encode()))
    for name, path in files:
        file_type = file_type_of_suffix(Path(path).suffix)
        media_type = file_type.media_type if file_type else "application/octet-stream"
        head = f'name="{name}"; filename="{_quote(Path(path).name)}"'
        parts.append((head, f"content-type: {media_type}\r\n", _bytes_of(path)))
    body = b"".join(
        f"--{boundary}\r\ncontent-disposition: form-data; {head}\r\n{kind}\r\n".encode()
        + data
        + b"\r\n"
        for head, kind, data in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def _quote(text: str) -> str:
    """*text* as it stands between the quotes in a part's header."""
    return text.translate({ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"})


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def _paths(output: str | None, prompt: str, pictures: Sequence[bytes]) -> Iterator[Path]:
    """Yield the paths at which the pictures are saved. An existing file is only replaced where
    *output* names it."""
    if output:
        file = Path(output)
        for number in range(1, len(pictures) + 1):
            yield file if len(pictures) == 1 else file.with_stem(f"{file.stem}-{number}")
        return
    words = re.sub(r"\W+", "-", prompt.lower())[:MAX_NAME_CHARS].strip("-_") or "picture"
    taken = set[Path]()
    for picture in pictures:
        file_type = file_type_of(picture)
        suffix = file_type.suffixes[0] if file_type else ".bin"
        number, path = 1, Path(f"{words}{suffix}")
        while path in taken or path.exists():
            number += 1
            path = Path(f"{words}-{number}{suffix}")
        taken.add(path)
        yield path


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None

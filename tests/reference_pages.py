"""The generated parts of `docs/`: tables of the code's own tables and of the tests', the docstrings
of the public names, and files of examples.

    .venv/bin/python -m tests.reference_pages

writes them anew, between the markers `<!-- NAME -->` and `<!-- end of NAME -->` of the pages.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, Final, get_type_hints

from pydantic import BaseModel

import images_emulator
from images_emulator import Emulator, RemoteServer, Server, ServerError, pytest_plugin
from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.changeable_settings import SettingChanges
from images_emulator.contract import admin_errors, emulator_errors, model_listing
from images_emulator.contract.refusal import Refusal
from images_emulator.exchange.call_details import UploadDetails
from images_emulator.exchange.exchange import READABLE_ATTRIBUTES, Exchange
from images_emulator.faults import fault_tables
from images_emulator.own_answers.answer_document import AnswerDocument, RawAnswerDocument
from images_emulator.recordings.document_check import schema
from images_emulator.settings import command_settings
from images_emulator.state.clock import Clock
from images_emulator.state.scenario import UnmetStep
from images_emulator.step_documents.match import Match
from images_emulator.step_documents.scenario_document import StepDocument
from images_emulator.web.admin.admin_api import create_admin_api
from images_emulator.web.instruments.metric_table import METRICS
from tests.clients.results import clients_code, clients_table
from tests.fault_outcomes import ANSWERS, CODES, NODE, STREAMS, WHOLE, Seen
from tests.guards import GUARDS
from tests.limits import LIMITS

ROOT: Final = Path(__file__).parent.parent
REFERENCE: Final = ROOT / "docs" / "reference"

SIGNATURE_COLUMNS: Final = 88
"""A longer signature has a line for each parameter."""


def settings_table() -> str:
    rows = ["| flag, variable | default, range | what it does |", "|---|---|---|"]
    for each in command_settings():
        flag = f"{each.flag} {each.metavar}".rstrip()
        default = f"`{each.shown_default}`" if each.shown_default else ""
        shown = "<br>".join(filter(None, [default, each.range]))
        rows.append(f"| `{flag}`<br>`{each.variable}` | {shown} | {each.full_help} |")
    return "\n".join(rows) + "\n"


def models_tables() -> str:
    """What `images-emulator models --markdown` prints, with a heading for each endpoint."""
    return re.sub(r"^(`POST .*`)$", r"## \1", model_listing.models_markdown(), flags=re.MULTILINE)


def faults_table() -> str:
    """The first table that `images-emulator faults --markdown` prints."""
    return fault_tables.faults_markdown().partition("\n\n")[0] + "\n"


def errors_table() -> str:
    """The errors by name, with their sentences."""
    rows = ["| error | status | type | message |", "|---|---|---|---|"]
    for each in fault_tables.fault_list().errors:
        name = f"`{each.name}`" + (", Azure's alone" if each.for_azure else "")
        kind = f"`{each.type}`" if each.type else ""
        rows.append(f"| {name} | {each.status} | {kind} | {each.summary} |")
    return "\n".join(rows) + "\n"


def error_classes() -> str:
    """The classes of the SDK for Python by the status of the errors."""
    errors = fault_tables.fault_list().errors
    classes = {each.status: CODES[each.name][0].__name__ for each in errors}
    rows = ["| status | raises |", "|---|---|"]
    rows += [f"| {status} | `{classes[status]}` |" for status in sorted(classes)]
    return "\n".join(rows) + "\n"


def python_answers() -> str:
    """What the SDK for Python makes of those faults of answers under which it raises anything, or
    the picture does not decode."""
    rows = ["| fault | raises | requests |", "|---|---|---|"]
    for fault, seen in ANSWERS.items():
        if seen.error:
            rows.append(f"| {_fault(fault)} | {_raised(seen)} | {seen.requests} |")
    return "\n".join(rows) + "\n"


def python_streams() -> str:
    """What the SDK for Python makes of those faults of streams that it notices."""
    rows = ["| fault | events | raises | requests |", "|---|---|---|---|"]
    for fault, seen in STREAMS.items():
        if seen.error or seen.events not in {(), WHOLE}:
            raised = _raised(seen) if seen.error else "nothing"
            events = _short_events(seen.events)
            rows.append(f"| {_fault(fault)} | {events} | {raised} | {seen.requests} |")
    return "\n".join(rows) + "\n"


def _fault(text: str) -> str:
    """A fault, with a line for each of its settings."""
    return "<br>".join(f"`{word}`" for word in text.split(";"))


def _raised(seen: Seen) -> str:
    """The exception, with its cause; of those that the SDK does not raise, who gets it."""
    assert seen.error
    module, _, _ = seen.error.__module__.partition(".")
    name = seen.error.__name__
    if module in {"binascii", "PIL"}:
        return f"nothing; who decodes the picture gets `{module}.{name}`"
    return f"`{name}`" + (f" of a `{seen.cause}`" if seen.cause else "")


def _short_events(events: Sequence[str]) -> str:
    """The types of *events* in short: `2 partial, completed`."""
    words = [each.partition(".")[2].removesuffix("_image") for each in events]
    runs = [(word, len([*same])) for word, same in groupby(words)]
    return ", ".join(f"{count} {word}" if count > 1 else word for word, count in runs) or "none"


def node_faults() -> str:
    """What the SDK for Node.js makes of the main faults: of a call, or of a stream."""
    rows = ["| fault | events of a stream | throws | requests |", "|---|---|---|---|"]
    for (kind, fault), seen in NODE.items():
        events = _short_events(seen.events) if kind == "stream" else ""
        throws = f"`{seen.error}`: `{seen.message}`" if seen.error else "nothing"
        throws += ", and does not end" * seen.aborted
        rows.append(f"| {_fault(fault)} | {events} | {throws} | {seen.requests} |")
    return "\n".join(rows) + "\n"


def example_file(name: str, language: str) -> str:
    """A file of an example as a block; *name* is its path from `examples/PROJECT/` on."""
    project, _, title = name.partition("/")
    text = (ROOT / "examples" / project / title).read_text()
    return f'```{language} title="{title}"\n{text}```\n'


def own_errors_table(module: ModuleType) -> str:
    """The errors of the emulator itself that a *module* of the contract has."""
    rows = ["| code | status | param | message |", "|---|---|---|---|"]
    for each in vars(module).values():
        if isinstance(each, Refusal):
            param = f"`{each.param}`" if each.param else ""
            rows.append(f"| `{each.code}` | {each.status} | {param} | {each.message} |")
    return "\n".join(rows) + "\n"


def metrics_table() -> str:
    """The table of metrics."""
    rows = ["| metric | kind | labels | what it is |", "|---|---|---|---|"]
    for each in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        rows.append(f"| `{each.full_name}` | {each.kind} | {labels} | {each.help} |")
    return "\n".join(rows) + "\n"


def keys_table(model: type[BaseModel]) -> str:
    """The keys of a mapping in a scenario, with their descriptions."""
    rows = ["| key | default | what it is |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = field.default if isinstance(field.default, str | int | float) else None
        default = "" if default is None else f"`{json.dumps(default)}`"
        rows.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def exchange_keys(*definitions: str) -> str:
    """The keys of the objects of these *definitions* in files of exchanges; without any, those of a
    file itself."""
    rows = ["| key | what it is |", "|---|---|"]
    for name in definitions or ("",):
        rule = schema()["$defs"][name] if name else schema()
        for key, value in rule["properties"].items():
            rows.append(f"| `{key}` | {value['description']} |")
    return "\n".join(dict.fromkeys(rows)) + "\n"


def admin_table() -> str:
    """The paths of the admin API, with the docstrings of their handlers."""
    rows = ["| call | what it does |", "|---|---|"]
    paths = create_admin_api().openapi()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            call = f"{method.upper()} {path.removeprefix(ADMIN_PREFIX)}"
            rows.append(f"| `{call}` | {_one_line(operation['description'])} |")
    return "\n".join(rows) + "\n"


def python_reference() -> str:
    """The public names of the package, with their signatures and docstrings."""
    parts = [
        _entry("images_emulator.running", images_emulator.running),
        _class("images_emulator.Server", Server, _public_members(Server)),
        _class("images_emulator.RemoteServer", RemoteServer, _OWN_MEMBERS),
        _class("images_emulator.ServerError", ServerError, []),
        _class("The clock, `Server.clock`", Clock, ["frozen", *_TIME_METHODS]),
        f"## A call, as `Server.calls` has it\n\n{_attributes(Exchange, _readable(Exchange))}",
        _fields_of("A file of a call, in `uploads`", UploadDetails),
        _fields_of("A step that waits, as `Server.unmet_steps` has it", UnmetStep),
        _entry("images_emulator.read_recipe", images_emulator.read_recipe),
        _entry("images_emulator.create_app", images_emulator.create_app),
        _class("images_emulator.Emulator", Emulator, ["configure", "reset", "close"]),
    ]
    return "\n".join(parts)


def fixtures_table() -> str:
    """The fixtures of the plugin, with their docstrings."""
    names = ["images_emulator", *pytest_plugin.WIDER_FIXTURES]
    rows = ["| fixture | scope | what it is |", "|---|---|---|"]
    for name in [*names, "images_emulator_server", "images_emulator_settings"]:
        fixture = getattr(pytest_plugin, name)
        scope = fixture._fixture_function_marker.scope
        text = _one_line(inspect.getdoc(fixture._get_wrapped_function()) or "")
        rows.append(f"| `{name}` | {scope} | {text} |")
    return "\n".join(rows) + "\n"


def limits_table() -> str:
    """The limits, with what happens beyond them and the tests that go there."""
    settings = {each.name: each for each in command_settings()}
    rows = ["| limit | default | beyond it | tried by |", "|---|---|---|---|"]
    for limit in LIMITS:
        setting, (file, _, name) = settings[limit.setting], limit.test.partition("::")
        flag = f"`{setting.flag} {setting.metavar}` | `{setting.shown_default}`"
        rows.append(f"| {flag} | {limit.end} | `{name}` in `{file}` |")
    return "\n".join(rows) + "\n"


def guards_table() -> str:
    """The guards, with the tests that fail without them."""
    rows = ["| promise | test that fails without the guard |", "|---|---|"]
    for guard in GUARDS:
        file, _, name = guard.test.partition("::")
        rows.append(f"| {guard.promise} | `{name}` in `{file}` |")
    return "\n".join(rows) + "\n"


_OWN_MEMBERS: Final = ["url", "base_url", "close"]
"""The members of `RemoteServer` that are not as those of `Server`."""

_TIME_METHODS: Final = ("now", "advance", "freeze", "resume", "reset")

GENERATED: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "settings": ("settings.md", settings_table),
    "models": ("models.md", models_tables),
    "faults": ("faults.md", faults_table),
    "answers in Python": ("faults.md", python_answers),
    "streams in Python": ("faults.md", python_streams),
    "faults in Node.js": ("../guides/typescript.md", node_faults),
    **{
        f"example {name}": ("../guides/typescript.md", partial(example_file, name, "typescript"))
        for name in (
            *("nextjs/vitest.config.ts", "nextjs/global-setup.ts", "nextjs/emulator.ts"),
            *("nextjs/lib/pictures.ts", "nextjs/pictures.test.ts"),
        )
    },
    "errors": ("errors.md", errors_table),
    "classes of errors": ("errors.md", error_classes),
    "own errors": ("errors.md", lambda: own_errors_table(emulator_errors)),
    "admin errors": ("admin-api.md", lambda: own_errors_table(admin_errors)),
    "keys of a step": ("scenarios.md", lambda: keys_table(StepDocument)),
    "keys of match": ("scenarios.md", lambda: keys_table(Match)),
    "keys of answer": ("scenarios.md", lambda: keys_table(AnswerDocument)),
    "keys of raw": ("scenarios.md", lambda: keys_table(RawAnswerDocument)),
    "keys of a file": ("exchange-files.md", exchange_keys),
    **{
        f"keys of {name}": ("exchange-files.md", partial(exchange_keys, name))
        for name in (
            *("request", "response", "download", "layout"),
            *("part", "event", "picture", "expected"),
        )
    },
    "keys of bodies": (
        "exchange-files.md",
        lambda: exchange_keys(
            *(f"{kind}_body" for kind in ("json", "text", "base64", "file", "picture", "form")),
            "stream_body",
        ),
    ),
    "keys of descriptions": (
        "exchange-files.md",
        lambda: exchange_keys("encoded_file", "encoded_picture", "repeated_text"),
    ),
    "metrics": ("metrics.md", metrics_table),
    "admin paths": ("admin-api.md", admin_table),
    "fixtures": ("python-api.md", fixtures_table),
    "python names": ("python-api.md", python_reference),
    "guards": ("security.md", guards_table),
    "limits": ("limits.md", limits_table),
    "clients": ("clients.md", clients_table),
    "code of clients": ("clients.md", clients_code),
}
"""The parts by their names, each with its page, seen from `docs/reference`, and the function that
makes it."""


def shown(name: str) -> str:
    """The part *name* as its page has it."""
    page, _ = GENERATED[name]
    text = (REFERENCE / page).read_text()
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    assert text.count(start) == text.count(end) == 1, f"{page} has no markers of {name}"
    return text.partition(start)[2].partition(end)[0]


def write() -> None:
    """Write all parts into their pages."""
    for name, (page, make) in GENERATED.items():
        path = REFERENCE / page
        text, before = path.read_text(), shown(name)
        start = text.index(f"<!-- {name} -->\n") + len(f"<!-- {name} -->\n")
        path.write_text(text[:start] + make() + text[start + len(before) :])


# --- docstrings


_FIRST_PARAGRAPH_ALONE: Final = (images_emulator.create_app, Emulator)


def _doc(value: Any) -> str:
    """The docstring of *value*: its first paragraph alone where the others are for contributors."""
    text = _markdown(inspect.getdoc(value) or "")
    return text.partition("\n\n")[0] if value in _FIRST_PARAGRAPH_ALONE else text


def _one_line(text: str) -> str:
    return _markdown(" ".join(text.split())).replace("|", "\\|")


def _markdown(docstring: str) -> str:
    """*docstring* as Markdown: a *name* that it marks is code."""
    return re.sub(r"(?<![*\w])\*(\w+)\*(?!\w)", r"`\1`", docstring)


def _signature(name: str, value: Any) -> str:
    """The call of *value* as code, without `self` and quotes."""
    signature = inspect.signature(value)
    parameters = [
        parameter.replace(default=...) if inspect.isfunction(parameter.default) else parameter
        for each in signature.parameters.values()
        for parameter in _keywords(each)
        if each.name != "self"
    ]
    # A class makes what it is; for others the result says more than the name.
    result = signature.return_annotation if not inspect.isclass(value) else None
    result = None if result in (None, "None", signature.empty) else result
    text = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    text = _plain(text)
    line = f"{name}{text}" + (f" -> {result}" if result else "")
    if len(line) <= SIGNATURE_COLUMNS:
        return line
    inner = [_plain(str(each)) for each in parameters]
    starred = next((at for at, each in enumerate(parameters) if each.kind is each.KEYWORD_ONLY), -1)
    if starred >= 0:
        inner.insert(starred, "*")
    listed = "".join(f"    {each},\n" for each in inner)
    return f"{name}(\n{listed})" + (f" -> {result}" if result else "")


def _keywords(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """The parameters that `**changes: Unpack[SettingChanges]` stands for; any other *parameter* as
    it is."""
    if parameter.annotation != f"Unpack[{SettingChanges.__name__}]":
        yield parameter
        return
    for name, annotation in get_type_hints(SettingChanges).items():
        kind = inspect.Parameter.KEYWORD_ONLY
        yield inspect.Parameter(name, kind, default=None, annotation=annotation)


def _plain(text: str) -> str:
    """Parameters as code has them: without quotes around annotations, and filters in short."""
    text = re.sub(r"'([^'\"]*)'", r"\1", text).replace("Ellipsis", "...")
    return text.replace(": Unpack[CallFilters]", "")


def _entry(name: str, value: Any, level: int = 2) -> str:
    """One function or method: heading, signature and docstring."""
    short = name.rpartition(".")[2]
    code = f"```py\n{_signature(short, value)}\n```"
    return f"{'#' * level} `{short}`\n\n{code}\n\n{_doc(value)}\n"


def _class(title: str, cls: type[Any], names: list[str]) -> str:
    """A class with its docstring, its attributes as a table and its methods."""
    name = title.rpartition(".")[2] if title.startswith("images_emulator.") else ""
    heading = f"`{name}`" if name else title
    parts = [f"## {heading}\n"]
    if name:
        parts.append(f"```py\n{_signature(name, cls)}\n```\n")
    parts.append(f"{_doc(cls)}\n")
    methods = [each for each in names if inspect.isfunction(getattr(cls, each, None))]
    attributes = [each for each in names if each not in methods]
    if attributes:
        parts.append(_attributes(cls, attributes))
    parts += [_entry(each, getattr(cls, each), level=3) for each in methods]
    return "\n".join(parts)


def _fields_of(title: str, cls: type[Any]) -> str:
    """A dataclass, whose fields are its reference."""
    return f"## {title}\n\n{_doc(cls)}\n\n{_attributes(cls, [each.name for each in fields(cls)])}"


def _attributes(cls: type[Any], names: list[str]) -> str:
    described = _attribute_docstrings(cls)
    rows = ["| attribute | type | what it is |", "|---|---|---|"]
    for name in names:
        value = inspect.getattr_static(cls, name, None)
        if isinstance(value, property):
            kind = value.fget.__annotations__["return"] if value.fget else ""
            text = value.__doc__ or ""
        else:
            kind, text = cls.__annotations__[name], described.get(name, "")
        rows.append(f"| `{name}` | {_type(str(kind))} | {_one_line(text)} |")
    return "\n".join(rows) + "\n"


def _type(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _attribute_docstrings(cls: type[Any]) -> dict[str, str]:
    """The texts that stand beneath the fields of *cls*."""
    body = ast.parse(dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: text.value.value
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _public_members(cls: type[Any]) -> list[str]:
    """The names of *cls*, behind those of the package's classes that it is derived from."""
    lineage = [
        each for each in reversed(cls.__mro__) if each.__module__.startswith("images_emulator.")
    ]
    names = dict.fromkeys(name for each in lineage for name in vars(each))
    return [name for name in names if not name.startswith("_")]


def _readable(cls: type[Exchange]) -> list[str]:
    """What a test may read of a call."""
    return [*READABLE_ATTRIBUTES, *_properties_after(cls, "parsed_call")]


def _properties_after(cls: type[Any], name: str) -> Iterator[str]:
    properties = [each for each, value in vars(cls).items() if isinstance(value, property)]
    for each in properties[properties.index(name) + 1 :]:
        if not each.startswith("_"):
            yield each


if __name__ == "__main__":
    write()

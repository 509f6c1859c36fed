"""`images-emulator requests`: prints the calls that a running server has had, and those to come."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from images_emulator.admin_client import AdminClient
from images_emulator.cli.call_line import as_text, line_of_summary
from images_emulator.cli.command_line import ArgumentParser, CommandError
from images_emulator.cli.configuration import argument_type
from images_emulator.cli.server_address import add_address, server_address
from images_emulator.cli.terminal import columns_of, has_colours
from images_emulator.namespace_names import DEFAULT_NAMESPACE, name_of_key

if TYPE_CHECKING:
    from images_emulator.exchange.exchange import Exchange

USAGE: Final = "[--follow] [FILTERS] [OPTIONS]"

DESCRIPTION: Final = """\
Show the calls and downloads that the server has had, oldest first: those that
match every filter. A repeated filter matches any of its values."""

EXAMPLES: Final = """\
  images-emulator requests --follow
  images-emulator requests --status 4xx --model 'gpt-image-*' -v
  images-emulator requests --kind call --json | jq .prompt"""

MAX_LIMIT: Final = 1000
"""The most calls that the admin API lists at once."""

FILTERS: Final = {
    "method": ("METHOD", "POST, GET …"),
    "path": ("GLOB", "Such as '*/edits'"),
    "model": ("GLOB", "Such as 'gpt-image-*'"),
    "status": ("STATUS", "Such as 429 or 4xx"),
    "outcome": ("WORD", "answered, refused, cut, failed, gone or waiting"),
    "key": ("KEY", "An API key, whole or redacted"),
    "prompt": ("TEXT", "A part of the prompt, in any case"),
    "text": ("TEXT", "A part of the prompt, error, model or id"),
    "fault": ("NAME", "The fault that was met"),
    "own_answer": ("GLOB", "The picture of one's own that answered, such as 'fox*'"),
    "has": (
        "WORD",
        "mask, inputs, events, violations, retry, fault, recording, own_answer, picture",
    ),
    "kind": ("WORD", "call or download"),
}
"""The filters of the admin API, with the word for each value, and its help."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="Then show calls as they come")
    parser.add_argument(
        "-n",
        "--limit",
        metavar="COUNT",
        type=argument_type(_limit),
        default=20,
        help="How many of the newest calls [20]",
    )
    parser.add_argument(
        "--json", dest="as_json", action="store_true", help="Each call in full, as a line of JSON"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="Also show what was sent")
    add_filters(parser)
    add_address(parser)


def add_filters(parser: ArgumentParser, excluded: Sequence[str] = ()) -> None:
    """Add a flag for each filter of calls, except the filters in *excluded*."""
    group = parser.add_argument_group("filters")
    for name, (metavar, text) in FILTERS.items():
        if name not in excluded:
            flag = f"--{name.replace('_', '-')}"
            group.add_argument(flag, dest=name, action="append", metavar=metavar, help=text)


def take_filters(options: dict[str, Any], excluded: Sequence[str] = ()) -> dict[str, Sequence[str]]:
    """Remove the options of `add_filters` from *options*, and return them."""
    filters = {name: options.pop(name) for name in FILTERS if name not in excluded}
    return {name: values for name, values in filters.items() if values}


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_LIMIT):
        raise ValueError(f"must be a number up to {MAX_LIMIT}, not {text!r}")
    return int(text)


def run(*, follow: bool, limit: int, as_json: bool, verbose: bool, **options: Any) -> int:
    filters = take_filters(options)
    client = AdminClient(server_address(**options))
    show = _show_json if as_json else _text_printer(verbose=verbose)

    def page() -> list[dict[str, Any]]:
        summaries = _page(client, filters, limit)
        if limit and not (summaries or as_json):
            note = NO_MATCH if filters else NO_CALLS if _is_known(client) else NO_NAMESPACE
            print(note, file=sys.stderr)
        return summaries

    if not follow:
        for summary in page():
            show(summary)
        return 0
    matches = _matcher(filters)
    # The stream opens before the page is asked for, so that no call is lost between the two.
    with client.events("events") as events:
        shown = set()
        for summary in page():
            if summary["outcome"] != "waiting":
                shown.add(summary["id"])
                show(summary)
        for event in events:
            if event.name == "completed":
                if event.data["id"] not in shown and matches(event.data):
                    show(event.data)
            elif event.name in NOTES:
                print(f"({NOTES[event.name].format(**event.data)})", file=sys.stderr)
    raise CommandError(f"{client.address.url} has ended")


NO_CALLS: Final = "(no calls yet)"
NO_MATCH: Final = "(no call matches)"
NO_NAMESPACE: Final = (
    "(no call has named this namespace; 'images-emulator namespaces' lists those that there are)"
)
"""Notes on an empty list of calls, for standard error. With `--json` there are none."""

NOTES: Final = {
    "skipped": "{count} calls came at once and were not told one by one",
    "restart": "calls were missed",
    "cleared": "the journal was cleared",
}
"""Notes on other events of the live feed, by their names."""


def _is_known(client: AdminClient) -> bool:
    """Whether the server has the client's namespace, which an API key may name."""
    name = client.address.namespace
    if name == DEFAULT_NAMESPACE:
        return True
    from images_emulator.contract.message_format import mask_key  # noqa: PLC0415 - for few

    names = {each["name"] for each in client.get("namespaces")["namespaces"]}
    return bool(names & {name, name_of_key(name, mask_key(name))})


def _page(
    client: AdminClient, filters: Mapping[str, Sequence[str]], limit: int
) -> list[dict[str, Any]]:
    """The newest calls that match, at most *limit*."""
    if not limit:
        return []
    answer: dict[str, Any] = client.get("requests", {**filters, "limit": limit})
    summaries: list[dict[str, Any]] = answer["requests"]
    return summaries


def _show_json(summary: Mapping[str, Any]) -> None:
    print(json.dumps(summary), flush=True)


def _text_printer(*, verbose: bool) -> Callable[[Mapping[str, Any]], None]:
    """A function that prints the line of a call."""
    fd = sys.stdout.fileno() if sys.stdout.isatty() else None
    colours = has_colours(fd, os.environ)

    def show(summary: Mapping[str, Any]) -> None:
        columns = columns_of(fd) if fd is not None else None
        text = as_text(line_of_summary(summary), colours=colours, columns=columns, verbose=verbose)
        print(text, end="", flush=True)

    return show


def _matcher(filters: Mapping[str, Sequence[str]]) -> Callable[[Mapping[str, Any]], bool]:
    """A function that tells whether a call of the live feed matches *filters*, because the feed
    itself takes none. Raises ValueError for a filter without meaning."""
    if not filters:
        return lambda summary: True
    # These modules load the API's tables.
    from images_emulator.contract.message_format import mask_key  # noqa: PLC0415
    from images_emulator.state.query import Query  # noqa: PLC0415

    query = Query.from_filters(filters)
    return lambda summary: cast("Exchange", _SummaryAsExchange(summary, mask_key)) in query


class _SummaryAsExchange:
    """A call of the live feed, with the attributes that the filters of `state/query.py` read of an
    `Exchange`."""

    def __init__(self, summary: Mapping[str, Any], mask_key: Callable[[str], str]) -> None:
        self._summary = summary
        self._mask_key = mask_key
        self.details = self
        self.uploads = [SimpleNamespace(**each) for each in summary["uploads"]]
        self.image_indexes = [each["index"] for each in summary["pictures"]]

    def __getattr__(self, name: str) -> Any:
        return self._summary[name]

    def came_with(self, key: str) -> bool:
        """Whether the call was sent with *key*, whole or redacted."""
        return self._summary["key"] in (key, self._mask_key(key))

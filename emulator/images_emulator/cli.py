"""The command `images-emulator`."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from json import dumps
from typing import Any

from images_emulator.settings import Settings, all_settings, from_environment, parse_lenient


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "images-emulator", description="A local server that answers as the OpenAI Images API does."
    )
    release = version("openai-images-emulator")
    parser.add_argument("--version", action="version", version=f"%(prog)s {release}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="start the server")
    serve.set_defaults(run=_serve)
    for each in all_settings():
        default = f" Default: {each.shown_default}." if each.shown_default else ""
        if each.type is bool:
            serve.add_argument(
                f"--{each.name.replace('_', '-')}",
                dest=each.name,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=f"{each.help}{default} [{each.variable}]",
            )
            continue
        serve.add_argument(
            each.flag,
            dest=each.name,
            metavar=each.metavar,
            type=each.type,
            action="append" if each.repeatable else "store",
            default=argparse.SUPPRESS,
            help=f"{each.help}{default} [{each.variable}]",
        )
    models = commands.add_parser("models", help="list the models and what each accepts")
    models.set_defaults(run=_models)
    forms = models.add_mutually_exclusive_group()
    forms.add_argument(
        "--markdown", action="store_true", help="as Markdown, like the tables of the README"
    )
    forms.add_argument(
        "--json", action="store_true", help="as JSON, with a JSON Schema for each kind of body"
    )
    scenario = commands.add_parser("scenario", help="look at scenarios and what they may hold")
    parts = scenario.add_subparsers(required=True, metavar="COMMAND")
    check = parts.add_parser("check", help="say what is wrong with a scenario, line by line")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(run=_check)
    faults = parts.add_parser("faults", help="print the faults and errors as the README's tables")
    faults.set_defaults(run=_faults)
    return parser


def _models(*, markdown: bool, json: bool) -> int:
    from images_emulator.contract import model_tables  # noqa: PLC0415 - `serve` does without it

    if json:
        print(dumps(model_tables.as_json(), indent=2))
    else:
        print(model_tables.as_markdown() if markdown else model_tables.as_text(), end="")
    return 0


def _check(*, file: str) -> int:
    from images_emulator.faults.scenario_document import read_scenario  # noqa: PLC0415 - `serve` mostly does without it

    try:
        steps = read_scenario(file).steps
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{file}: {len(steps)} {'step' if len(steps) == 1 else 'steps'}")
    return 0


def _faults() -> int:
    from images_emulator.faults import fault_tables  # noqa: PLC0415 - it loads pydantic

    print(fault_tables.as_markdown(), end="")
    return 0


def _mode_lines(settings: Settings) -> Iterator[str]:
    """Start-up lines that say which day's API answers, and whether it forgives."""
    if settings.as_of == "any":
        yield (
            "as_of=any: retired models answer, and a call may leave out its model; "
            "--as-of today answers as the API does now"
        )
    elif settings.as_of == "today":
        yield "as_of=today: answers as the API does now"
    else:
        yield f"as_of={settings.as_of}: answers as the API did on that day"
    if parse_lenient(settings.validation):
        yield "validation=lenient: forgives mistakes that the API refuses"


def _serve(**flags: Any) -> int:
    """Run the server until a signal; its exit status. Raises ValueError for a setting's value."""
    flags = {name: tuple(v) if isinstance(v, list) else v for name, v in flags.items()}
    settings = from_environment(os.environ, **flags)
    # Imported modules are never garbage; to collect while they are imported takes a tenth of the
    # time to the first answer.
    gc.disable()
    # The web framework takes most of the import time; --help and a wrong flag need none.
    from images_emulator.server import Server  # noqa: PLC0415 - it loads uvicorn

    try:
        server = Server(settings)
    except OSError as error:
        print(f"images-emulator: {error.strerror}", file=sys.stderr)
        return 1
    # The emulator's notices and its errors; not its libraries' remarks on odd requests and images.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for name in ("python_multipart", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
    gc.freeze()
    gc.enable()
    start = "".join(f"{line}\n" for line in [f"Listening on {server.url}", *_mode_lines(settings)])

    def print_start() -> None:
        # One write, which print() does not promise: a reader may close the pipe after one line.
        sys.stdout.write(start)
        sys.stdout.flush()

    server.run(print_start)
    # There is nothing left that a second Ctrl-C could stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    run = options.pop("run")
    try:
        return int(run(**options))
    except ValueError as error:
        parser.error(str(error))
    except BrokenPipeError:
        # The reader left early, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        # Ctrl-C before the server can hear it; this is what a shell makes of the signal.
        return 128 + signal.SIGINT

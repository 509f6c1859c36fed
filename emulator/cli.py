"""The command `images-emulator`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version

from emulator.settings import Settings, all_settings, from_environment


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "images-emulator", description="A local server that answers as the OpenAI Images API does."
    )
    told = version("openai-images-emulator")
    parser.add_argument("--version", action="version", version=f"%(prog)s {told}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="start the server")
    serve.set_defaults(run=_serve)
    for each in all_settings():
        default = "" if each.default in (None, ()) else f" (default {each.default})"
        serve.add_argument(
            each.flag,
            dest=each.name,
            metavar=each.metavar,
            type=each.type,
            action="append" if each.repeatable else "store",
            default=argparse.SUPPRESS,
            help=f"{each.help}{default} [{each.variable}]",
        )
    return parser


def _serve(settings: Settings) -> int:
    # The web framework is what takes time to import; --help and a wrong flag do without it.
    from emulator.server import Server  # noqa: PLC0415

    try:
        server = Server(settings)
    except ValueError as error:
        print(f"images-emulator: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = error.strerror or error
        print(f"images-emulator: {settings.host}:{settings.port}: {reason}", file=sys.stderr)
        return 1
    # Its own remarks and true errors; not what its libraries think of odd requests and pictures.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for name in ("python_multipart", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
    with contextlib.suppress(KeyboardInterrupt):
        server.run(lambda: print(f"Listening on {server.url}", flush=True))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    run = given.pop("run")
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    try:
        settings = from_environment(os.environ, **given)
    except ValueError as error:
        parser.error(str(error))
    return int(run(settings))

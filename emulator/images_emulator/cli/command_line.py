"""The command line: finds the command among the arguments, and turns errors into sentences and exit
statuses."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, NoReturn, Protocol, cast

from images_emulator.cli.standard_streams import discard_output, prepare_standard_streams
from images_emulator.client_errors import ServerError, UnreachableError
from images_emulator.spelling import suggestion

PROGRAM: Final = "images-emulator"
"""The name of the command, as its own texts have it."""

SERVE: Final = "serve"
"""The command for arguments that name none."""

HELP_COLUMNS: Final = 28
"""Columns of a help text that hold the names of flags."""

UNREACHABLE_HINT: Final = f"; '{PROGRAM} {SERVE}' starts one, --url names another one"
"""The end of the error of a command whose server does not answer."""

NameOfCommand = str
"""A key of `COMMANDS`."""


class CommandError(Exception):
    """A command cannot do what was asked. The message is the sentence that it prints; the exit
    status is 1."""


class CommandModule(Protocol):
    """The module of a command."""

    USAGE: str
    """The arguments, as the usage line shows them after the command's name."""
    DESCRIPTION: str
    """The purpose of the command, for its help."""
    EXAMPLES: str
    """Lines that show its use."""

    @staticmethod
    def add_arguments(parser: ArgumentParser) -> None:
        """Add the command's flags and arguments."""
        ...

    @staticmethod
    def run(**options: Any) -> int:
        """Do what the arguments say, and return the exit status. Raises CommandError, and
        ValueError for an argument's value."""
        ...


class Command(NamedTuple):
    """A row of the table of commands."""

    summary: str
    """The purpose of the command, for a line of the program's help."""
    module: str
    """The command's module in `images_emulator.cli`."""


GROUPS: Final[dict[str, dict[NameOfCommand, Command]]] = {
    "the server": {
        SERVE: Command("start the server; the default without a command", "serve_command"),
        "healthcheck": Command("tell by the exit status whether it answers", "healthcheck_command"),
        "env": Command("print the variables that lead an SDK to it", "env_command"),
    },
    "calls": {
        "draw": Command("draw a picture by one call, and save it", "draw_command"),
        "requests": Command("show the calls; with --follow as they come", "requests_command"),
        "inject": Command("let the next call meet a fault", "inject_command"),
        "answer": Command("answer calls with a picture of your own", "answer_command"),
        "reset": Command("forget calls, pictures and injected faults", "reset_command"),
        "namespaces": Command("list the namespaces, or forget one", "namespaces_command"),
    },
    "recordings": {
        "record": Command("forward calls to the API, and keep them in files", "record_command"),
        "exchange": Command("check, save or import files of exchanges", "exchange_command"),
        "drift": Command("show where a server's answers differ from recordings", "drift_command"),
    },
    "reference": {
        "models": Command("list the models and what each accepts", "models_command"),
        "faults": Command("list the faults and the errors by name", "faults_command"),
        "scenario": Command("list ready scenarios, or check one of your own", "scenario_command"),
        "completion": Command("print the completions for a shell", "completion_command"),
    },
}
"""The commands by name, in the groups of the help."""

COMMANDS: Final = {name: row for group in GROUPS.values() for name, row in group.items()}
"""The commands by name."""

EXAMPLES: Final = """\
  images-emulator                       serve at http://127.0.0.1:8080
  images-emulator -p 9000 --as-of today
  eval "$(images-emulator env)"         lead the SDKs in this shell to it
  images-emulator draw "A lighthouse"   no server needs to run for it
  images-emulator COMMAND --help        more of a command\
"""
"""Examples in the program's help."""


class ArgumentParser(argparse.ArgumentParser):
    """A parser that takes no abbreviations, because a new flag would change their meaning. Its
    errors name the flag that was probably meant. They do not show the usage, which may be long."""

    def __init__(self, prog: str, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", _formatter)
        with_help = options.pop("add_help", True)
        super().__init__(prog, add_help=False, **options)
        if with_help:
            self.add_argument("-h", "--help", action="help", help="Show this help")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, extra = self.parse_known_args(args, namespace)
        if extra:
            hints = (suggestion(each.partition("=")[0], self.flags()) for each in extra)
            meant = "".join(dict.fromkeys(hints))
            self.error(f"unrecognized arguments: {' '.join(extra)}{meant}")
        return options

    def print_help(self, file: Any = None) -> None:
        """Write the help to *file*, by default standard output. Raises OSError where that takes
        no more, which the base class ignores."""
        file = file or sys.stdout
        file.write(self.format_help())
        # The parser exits next. Python would flush at its end, and print an error of its own.
        file.flush()

    def flags(self) -> list[str]:
        """All flags, such as `--port` and `-p`."""
        return [flag for action in self._actions for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nSee '{self.prog} --help'.\n")


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=HELP_COLUMNS)


def command_module(name: NameOfCommand) -> CommandModule:
    """The module of a command. No other command's module is imported."""
    return cast(CommandModule, import_module(f"images_emulator.cli.{COMMANDS[name].module}"))


def command_parser(name: NameOfCommand) -> ArgumentParser:
    """The parser of the arguments after the command's name."""
    module = command_module(name)
    parser = ArgumentParser(
        f"{PROGRAM} {name}",
        usage=f"{PROGRAM} {name} {module.USAGE}",
        description=module.DESCRIPTION,
        epilog=f"examples:\n{module.EXAMPLES}",
    )
    module.add_arguments(parser)
    return parser


def overview() -> str:
    """The program's help."""
    lines = [
        f"usage: {PROGRAM} [COMMAND] [OPTIONS]",
        "",
        "A local server that answers as the OpenAI Images API does.",
    ]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:13}{command.summary}" for name, command in commands.items()]
    return "\n".join([*lines, "", "examples:", EXAMPLES, ""])


def version_text() -> str:
    """The line that `--version` prints."""
    from importlib.metadata import version  # noqa: PLC0415 - it takes as long as all other imports

    return f"{PROGRAM} {version('openai-images-emulator')}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status. Raises SystemExit for wrong arguments of a
    command, and for its help."""
    prepare_standard_streams()
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    match words[:1]:
        case ["-h" | "--help" | "help"]:
            return _run_and_print_errors(lambda: _write(overview()))
        case ["-V" | "--version"]:
            return _run_and_print_errors(lambda: _write(version_text()))
    name = words.pop(0) if words and not words[0].startswith("-") else SERVE
    if name not in COMMANDS:
        meant = suggestion(name, COMMANDS, quote="'")
        print(f"{PROGRAM}: there is no command '{name}'{meant}", file=sys.stderr)
        print(f"See '{PROGRAM} --help'.", file=sys.stderr)
        return 2
    return _run_and_print_errors(lambda: _run(name, words))


def _run(name: NameOfCommand, words: Sequence[str]) -> int:
    parser = command_parser(name)
    options = vars(parser.parse_args(words))
    try:
        return command_module(name).run(**options)
    except ValueError as error:
        parser.error(str(error))


def _write(text: str) -> int:
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def _run_and_print_errors(run: Callable[[], int]) -> int:
    """Return the exit status of *run*. Where *run* raises an error of a command, print it and
    return the status of a failure."""
    try:
        status = run()
        sys.stdout.flush()
    except (CommandError, ServerError) as error:
        hint = UNREACHABLE_HINT if isinstance(error, UnreachableError) else ""
        print(f"{PROGRAM}: {error}{hint}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader left early, as `head` does.
        discard_output()
        return 1
    except OSError as error:
        # One cause is a full disk where standard output leads.
        discard_output()
        file = f"{error.filename}: " if error.filename else ""
        print(f"{PROGRAM}: {file}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Ctrl-C came before the server can handle it. A shell makes this status of the signal.
        return 128 + signal.SIGINT
    return status

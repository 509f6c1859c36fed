"""`images-emulator completion`: shell scripts that complete commands and flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Final, NamedTuple

from images_emulator.cli.command_line import COMMANDS, PROGRAM, ArgumentParser, command_parser
from images_emulator.cli.configuration import path_text
from images_emulator.scenarios import ready_scenarios
from images_emulator.settings import command_settings

USAGE: Final = "bash|zsh|fish"

DESCRIPTION: Final = "Print a script that completes commands, flags and their values in a shell."

EXAMPLES: Final = """\
  eval "$(images-emulator completion bash)"     in ~/.bashrc
  eval "$(images-emulator completion zsh)"      in ~/.zshrc, after compinit
  images-emulator completion fish | source      in ~/.config/fish/config.fish"""


class FlagCompletion(NamedTuple):
    """A flag as a shell completes it."""

    names: tuple[str, ...]
    """The names of the flag, such as `-p` and `--port`."""
    help: str
    """The purpose of the flag, in a line."""
    takes_value: bool
    choices: tuple[str, ...]
    """The values of the flag, where they are known."""
    is_file: bool
    """Whether the value is the path of a file or a folder."""


class Completions(NamedTuple):
    """The completions after a command: its flags, and the words of its argument."""

    flags: tuple[FlagCompletion, ...]
    words: tuple[str, ...]
    """The values of the first argument, where they are known."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=SCRIPTS, help=f"One of {', '.join(SCRIPTS)}", metavar="SHELL"
    )


def run(*, shell: str) -> int:
    table = {name: completions(command_parser(name)) for name in COMMANDS}
    print("\n".join(SCRIPTS[shell](table)))
    return 0


def completions(parser: ArgumentParser) -> Completions:
    """The completions of the arguments of *parser*."""
    flags: list[FlagCompletion] = []
    words: tuple[str, ...] = ()
    values = {each.flag: each.choices for each in command_settings()}
    values["--scenario"] = tuple(ready_scenarios())
    paths = {each.flag for each in command_settings() if each.is_path}
    for action in _actions(parser):
        choices = tuple(map(str, action.choices or ()))
        for name in action.option_strings:
            choices = choices or values.get(name, ())
        if action.option_strings:
            line = "" if action.help in (None, argparse.SUPPRESS) else f"{action.help}"
            is_file = action.type in (Path, path_text) or not paths.isdisjoint(
                action.option_strings
            )
            flags.append(
                FlagCompletion(
                    tuple(action.option_strings), line, action.nargs != 0, choices, is_file
                )
            )
        else:
            words = words or choices
    return Completions(tuple(flags), words)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of *parser* and of its subcommands, except `--help`."""
    yield from parser._actions
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from (each for each in _actions(inner) if each.dest != "help")


Table = Mapping[str, Completions]
"""The completions of a shell, by command."""


def _bash(table: Table) -> Iterator[str]:
    yield "_images_emulator() {"
    yield "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=serve"
    yield "  local words="
    yield f"  case ${{COMP_WORDS[1]}} in {'|'.join(table)}) command=${{COMP_WORDS[1]}} ;; esac"
    yield "  case $command:$before in"
    for name, completion in table.items():
        for flag in completion.flags:
            patterns = "|".join(f"{name}:{each}" for each in flag.names)
            if flag.choices:
                yield f"    {patterns}) words={quote(' '.join(flag.choices))} ;;"
            elif flag.takes_value:
                files = 'COMPREPLY=($(compgen -f -- "$word")); ' if flag.is_file else ""
                yield f"    {patterns}) {files}return ;;"
    yield "    *) case $command in"
    for name, completion in table.items():
        names = [each for flag in completion.flags for each in flag.names]
        yield f"      {name}) words={quote(' '.join([*completion.words, *names]))} ;;"
    yield "    esac"
    yield f'    [ "$COMP_CWORD" = 1 ] && words="$words {" ".join(table)}" ;;'
    yield "  esac"
    yield '  COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield "}"
    yield f"complete -o default -F _images_emulator {PROGRAM}"


def _zsh(table: Table) -> Iterator[str]:
    yield f"#compdef {PROGRAM}"
    yield "_images_emulator() {"
    yield "  local command=serve"
    yield f"  case $words[2] in ({'|'.join(table)}) command=$words[2] ;; esac"
    yield "  if (( CURRENT == 2 )); then"
    described = " ".join(quote(f"{name}:{COMMANDS[name].summary}") for name in table)
    yield f"    local -a commands=({described})"
    yield "    _describe command commands"
    yield "  fi"
    yield "  case $command in"
    for name, completion in table.items():
        specs = [_zsh_flag(flag, each) for flag in completion.flags for each in flag.names]
        if completion.words:
            specs.append(quote(f"*:value:({' '.join(completion.words)})"))
        yield f"    {name}) _arguments {' '.join(specs)} '*:file:_files' ;;"
    yield "  esac"
    yield "}"
    yield f"compdef _images_emulator {PROGRAM}"


def _zsh_flag(flag: FlagCompletion, name: str) -> str:
    """A flag as `_arguments` takes it."""
    text = "".join(f"\\{each}" if each in "[]:\\" else each for each in flag.help)
    action = "_files" if flag.is_file else f"({' '.join(flag.choices)})" if flag.choices else " "
    value = f":value:{action}" if flag.takes_value else ""
    return quote(f"{name}[{text}]{value}")


def _fish(table: Table) -> Iterator[str]:
    commands = " ".join(table)
    yield f"complete -c {PROGRAM} -f"
    for name, completion in table.items():
        summary = quote(COMMANDS[name].summary)
        first = quote(f"not __fish_seen_subcommand_from {commands}")
        yield f"complete -c {PROGRAM} -n {first} -a {name} -d {summary}"
        # The flags of `serve` need no command.
        seen = f"__fish_seen_subcommand_from {name}"
        condition = quote(
            seen if name != "serve" else f"{seen}; or not __fish_seen_subcommand_from {commands}"
        )
        for flag in completion.flags:
            words = [f"complete -c {PROGRAM} -n {condition}"]
            words += [f"-l {each[2:]}" for each in flag.names if each.startswith("--")]
            words += [f"-s {each[1:]}" for each in flag.names if not each.startswith("--")]
            if flag.takes_value:
                words.append("-r" if flag.is_file else "-x")
            if flag.is_file:
                words.append("-F")
            if flag.choices:
                words.append(f"-a {quote(' '.join(flag.choices))}")
            if flag.help:
                words.append(f"-d {quote(flag.help)}")
            yield " ".join(words)
        for word in completion.words:
            yield f"complete -c {PROGRAM} -n {condition} -a {word}"


SCRIPTS: Final[Mapping[str, Callable[[Table], Iterator[str]]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
"""The lines of each shell's script, by its name."""

"""The command `images-emulator`. Each of its subcommands has a module, imported when it is
called."""

from images_emulator.cli.command_line import main as main

"""The command `images-emulator`. Each of its commands has a module, which is imported when it is
called."""

from images_emulator.cli.command_line import main as main

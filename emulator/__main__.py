"""`python -m emulator` is the command `images-emulator`."""

import sys

from emulator.cli import main

sys.exit(main())

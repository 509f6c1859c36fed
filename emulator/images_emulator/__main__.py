"""`python -m images_emulator` is the command `images-emulator`."""

import sys

from images_emulator.cli import main

sys.exit(main())

"""The admin API at `/_emulator`: its access, its handlers, and what it tells of calls."""

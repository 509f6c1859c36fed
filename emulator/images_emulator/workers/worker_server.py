"""The server of a worker."""

from __future__ import annotations

from images_emulator.server import Server
from images_emulator.settings import Settings
from images_emulator.shared_listener import SharedListener


class WorkerServer(Server):
    """A `Server` that accepts connections from *listener*, as other processes do. Raises what
    `Server` raises."""

    def __init__(self, settings: Settings, listener: SharedListener) -> None:
        self._shared_listener = listener
        super().__init__(settings)

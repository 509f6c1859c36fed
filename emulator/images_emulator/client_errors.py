"""The errors of the clients of a running server."""

from __future__ import annotations


class ServerError(Exception):
    """A server does not answer, or refuses. The text is a sentence. *status* is the status of the
    answer; None without an answer."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class UnreachableError(ServerError):
    """Nothing accepts connections at the address."""

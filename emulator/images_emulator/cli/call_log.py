"""The log of a server: a line for each call, and the emulator's notices and errors."""

from __future__ import annotations

import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from time import time
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from images_emulator.cli.line_writer import LineWriter
from images_emulator.cli.notice_line import notice_line
from images_emulator.cli.standard_streams import print_if_read
from images_emulator.cli.stop_signals import ignore_after_stop, ignore_until_the_end
from images_emulator.cli.terminal import columns_of, has_colours
from images_emulator.exchange.exchange import MAX_REPARSE_BYTES, Exchange
from images_emulator.exchange.trace_context import CALL_ID
from images_emulator.observers import add_observer, remove_observer
from images_emulator.settings import LogSettings
from images_emulator.state.journal import Journal
from images_emulator.state.store import Store, StoreEvent
from images_emulator.web.admin import admin_audit as audit

if TYPE_CHECKING:
    from images_emulator.cli.call_line import CallLine
    from images_emulator.cli.journal_line import CallFormatter
    from images_emulator.threaded_server import ThreadedServer

STDOUT: Final = 1
STDERR: Final = 2
"""File descriptors."""

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""The levels of the settings, as levels of the standard library."""


Item = TypeVar("Item")


class _Call(NamedTuple):
    """A call that is over, and the time of its end, in seconds since the epoch."""

    exchange: Exchange
    ended: float


class LineLog(ABC, Generic[Item]):
    """Writes the lines of each item to the file descriptor *out*, on a thread of its own. `text_of`
    makes the lines on that thread. The thread calls *stop* when nobody reads the output any more.

    The emulator's notices and errors go to *out* in a log of JSON, and to *err* in a log of text.
    *lock* makes the lock that several processes with the same output share.
    """

    def __init__(
        self,
        settings: LogSettings,
        stop: Callable[[], None],
        out: int,
        err: int,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.level = LEVELS[settings.log_level]
        self.is_json = settings.log_format == "json"
        self._out = LineWriter[Item | str](
            out, self._to_text, stop, _encoding(sys.stdout), lock=lock()
        )
        self._err = LineWriter[str](err, str, encoding=_encoding(sys.stderr), lock=lock())
        self._has_colours = has_colours(out, os.environ)
        self._has_error_colours = has_colours(err, os.environ)
        self._fd = out
        self.put_notice = self._out.put if self.is_json else self._err.put
        """The function that queues the line of a notice for writing; any thread may call it."""
        self.handler: logging.Handler = _Handler(self.put_notice, self._line)
        """The handler for the notices and errors."""

    def start(self) -> None:
        """Begin to log. Notices and errors of the libraries that only say that a request or an
        image is odd are left out."""
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[self.handler])
        logging.getLogger("images_emulator").setLevel(max(self.level, logging.WARNING))
        logging.getLogger("images_emulator.recordings").setLevel(max(self.level, logging.INFO))
        for name in ("python_multipart", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.ERROR)

    @property
    def shows_calls(self) -> bool:
        """Whether the level includes calls, and anybody can read them."""
        return self.level <= logging.WARNING and _is_read(self._fd)

    def put(self, item: Item) -> None:
        """Queue the lines of *item* for writing; any thread may call this."""
        self._out.put(item)

    def close(self) -> None:
        """Write the last lines."""
        self._out.close()
        self._err.close()

    def log_while_running(self, server: ThreadedServer, text: Callable[[], str]) -> None:
        """Run *server* in this thread until it is stopped. Print *text* once it accepts
        connections, and then log."""

        def start() -> None:
            print_if_read(text())
            self.start()

        ignore_after_stop(lambda: server.is_stopping)
        try:
            server.run(start)
        finally:
            ignore_until_the_end()
            self.close()

    # --- how lines are made. `text_of` and `_to_text` run on the writer's thread, others on any

    @abstractmethod
    def text_of(self, item: Item) -> str:
        """The lines of *item*, with line ends; empty for an item below the level."""

    @cached_property
    def formatter(self) -> CallFormatter:
        """The object that makes lines of calls."""
        from images_emulator.cli.journal_line import CallFormatter  # noqa: PLC0415 - it delays the start

        return CallFormatter(
            level=self.level,
            is_json=self.is_json,
            colours=self._has_colours,
            terminal=self._fd if os.isatty(self._fd) else None,
        )

    def _to_text(self, item: Item | str) -> str:
        """The text of *item*, which may be a finished line."""
        return item if isinstance(item, str) else self.text_of(item)

    @property
    def shows_notices(self) -> bool:
        """Whether the level includes notices."""
        return self.level <= logging.WARNING

    def _line(self, record: logging.LogRecord, text: str) -> str:
        """The line of a notice or an error. As JSON it has the id of the call that it is about."""
        return notice_line(
            text,
            record.levelno,
            record.created,
            call_id=CALL_ID.get(),
            is_json=self.is_json,
            colours=self._has_error_colours,
        )


class CallLog(LineLog["_Call | CallLine"]):
    """Logs the calls of *journal* and the changes of the *store*, from `start` on. The calls of
    other journals are logged from `observe` on. The line of a call is made on the thread that
    writes it; where the body is long, it is made at once."""

    def __init__(
        self,
        settings: LogSettings,
        journal: Journal,
        out: int = STDOUT,
        err: int = STDERR,
        *,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        store: Store | None = None,
    ) -> None:
        super().__init__(settings, self.stop, out, err, lock)
        self._journal = journal
        self._store = store
        self._has_stopped = False
        self._admin_handler = _Handler(self._put_line, self._admin_line)

    def start(self) -> None:
        super().start()
        self.observe(self._journal)
        if self.shows_calls:
            # Admin actions are no notices: their lines stand among the calls.
            audit.logger.setLevel(max(self.level, logging.INFO))
            audit.logger.addHandler(self._admin_handler)
            audit.logger.propagate = False
        if self._store and self.shows_notices:
            self._store.observe_events(self._on_store_event)

    def observe(self, journal: Journal) -> None:
        """Begin to log the calls of *journal*, such as a namespace's, where the level includes
        calls and anybody can read them."""
        if self.shows_calls:
            add_observer(journal, self)

    def stop(self) -> None:
        """Log no more calls."""
        self._has_stopped = True
        remove_observer(self._journal, self)

    def close(self) -> None:
        self.stop()
        audit.logger.removeHandler(self._admin_handler)
        audit.logger.propagate = True
        super().close()

    def _put_line(self, line: str) -> None:
        if not self._has_stopped:
            self._out.put(line)

    def _admin_line(self, record: logging.LogRecord, _text: str) -> str:
        """The line of a call of the admin API."""
        from images_emulator.cli.admin_line import admin_line  # noqa: PLC0415 - many servers have none

        return admin_line(
            record.action,  # type: ignore[attr-defined]  # the `extra` of the record
            record.levelno,
            is_json=self.is_json,
            colours=self._has_colours,
            columns=columns_of(self._fd),
        )

    def _on_store_event(self, event: StoreEvent) -> None:
        from images_emulator.cli.store_line import store_line  # noqa: PLC0415 - few stores go

        line = store_line(event, time(), is_json=self.is_json, colours=self._has_error_colours)
        self.put_notice(line)

    # --- what the journal tells

    def on_arrival(self, exchange: Exchange) -> None:
        """Do nothing: a call is logged when it is over."""

    def on_event(self, exchange: Exchange, index: int) -> None:
        """Do nothing: a call is logged when it is over."""

    def on_clear(self) -> None:
        """Do nothing after a reset: written lines stay."""

    def on_completion(self, exchange: Exchange) -> None:
        if self._has_stopped:
            return
        call = _Call(exchange, time())
        # An item that waits to be written keeps no long body.
        is_long = exchange.body_bytes > MAX_REPARSE_BYTES
        self.put(self.formatter.line(*call) if is_long else call)

    # --- on the writer's thread

    def text_of(self, item: _Call | CallLine) -> str:
        formatter = self.formatter
        return formatter.text(formatter.line(*item) if isinstance(item, _Call) else item)


class _Handler(logging.Handler):
    """Passes on records of the log as the lines that *line* makes of them."""

    def __init__(
        self, put: Callable[[str], None], line: Callable[[logging.LogRecord, str], str]
    ) -> None:
        super().__init__()
        self._put = put
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._put(self._line(record, self.format(record)))


def _encoding(stream: object) -> str:
    """The encoding of a standard stream, which may be missing."""
    return getattr(stream, "encoding", None) or "utf-8"


def _is_read(fd: int) -> bool:
    """Whether anybody can read what is written to *fd*. Nobody can where it is closed, or is the
    null device."""
    try:
        return not os.path.samestat(os.fstat(fd), os.stat(os.devnull))
    except OSError:
        return False

"""The server of a pytest session, or the namespaces that tests have on a running server, and the
steps that fixtures have injected there. `pytest_plugin.py` has the hooks and the fixtures."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from images_emulator.changeable_settings import CHANGEABLE, changeable_values
from images_emulator.client_errors import ServerError
from images_emulator.environment import TOKEN_VARIABLE, sdk_environment

if TYPE_CHECKING:
    from images_emulator.remote_server import RemoteServer
    from images_emulator.server import Server
    from images_emulator.settings import Settings

    AnyServer: TypeAlias = Server | RemoteServer

URL_OPTION: Final = "images_emulator_url"
"""The name of the option with the URL of a running server."""

REMOTE_SETTINGS: Final = ("scenario", "api_key", "admin_token")
"""The settings, in addition to `CHANGEABLE`, that tests on a server of `URL_OPTION` may have. The
other settings are those with which it was started."""

MAX_NAME_CHARS: Final = 80
"""The most characters of a test's id in the name of its namespace: the last ones."""


class WiderSteps:
    """The steps of the scenario that fixtures of wider scope have injected or begun. *steps* are
    those that there were before these fixtures. The steps of the server's own scenario are not
    theirs, nor are those that tests leave."""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self._own_documents = [*map(_step_document, steps)]
        self._known = {step["id"] for step in steps}
        self._ids: set[str] = set()

    def begin_test(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Count the steps that are new among *steps*, before a test, as those of these
        fixtures."""
        self._ids &= {step["id"] for step in steps}
        self._ids |= {
            step["id"]
            for step in steps
            if step["id"] not in self._known and _step_document(step) not in self._own_documents
        }

    @property
    def are_left(self) -> bool:
        """Whether there were steps of these fixtures when the last test began."""
        return bool(self._ids)

    def end_test(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Take what is new among *steps* for steps of the test that ends."""
        self._known = {step["id"] for step in steps}


def _step_document(step: Mapping[str, Any]) -> Mapping[str, Any]:
    """The *step* without what changes when its scenario begins again or a call meets it."""
    return {name: value for name, value in step.items() if name not in ("id", "met", "spent")}


class ServerSession:
    """The session's server, and the number of fixtures that have it at the moment. With a URL of a
    server that tests share it is the namespace of these fixtures."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        """The URL of a server that others use, too; None where the session has its own server."""
        self.server: AnyServer | None = None
        self.early = False
        """Whether the server was started before the collection of tests."""
        self.environment = ExitStack()
        """Restores the variables that an early server has set."""
        self.users = 0
        self.wider_steps: WiderSteps | None = None
        """None where no fixture of wider scope has begun since the last time without users."""
        self._use = ExitStack()
        """Undoes what the first user has done, when the last one has ended."""

    @contextmanager
    def use(self, begin: Callable[[ExitStack], AnyServer]) -> Iterator[AnyServer]:
        """The server, for one fixture more. The first one calls *begin*, which gives the server;
        its stack is closed when the last one ends, which may be another fixture: one of wider scope
        may begin later."""
        if not self.users:
            with ExitStack() as stack:
                self.server = begin(stack)
                self._use = stack.pop_all()
            self.wider_steps = None
        assert self.server
        self.users += 1
        try:
            yield self.server
        finally:
            self.users -= 1
            if not self.users:
                self._use.close()

    def start(self, settings: Settings | None = None) -> AnyServer:
        """Serve early, or serve again with other *settings* on the same port."""
        if self.url:
            from images_emulator.settings import Settings  # noqa: PLC0415 - most sessions start none

            self.server = open_namespace(self.url, "session", Settings())
            keys: Sequence[str] = ()
        else:
            from images_emulator.server import Server  # noqa: PLC0415 - most sessions start none

            if isinstance(self.server, Server) and settings:
                settings = replace(settings, port=settings.port or self.server.port)
                self.stop()
            self.server = Server(settings).__enter__()
            keys = self.server.settings.api_key
        self.early = True
        self.environment.enter_context(sdk_environment(self.server.url, keys))
        return self.server

    def stop(self) -> None:
        self.environment.close()
        # The server of a namespace may be gone.
        with suppress(ServerError):
            if self.server:
                self.server.close()


def with_settings(session: ServerSession, server: AnyServer, settings: Settings) -> AnyServer:
    """The early *server* with these *settings*: the same server, or another one in its place."""
    if session.url:
        apply_settings(settings, server)
        return server
    is_same = getattr(server, "settings", None) == settings
    return server if is_same else session.start(settings)


def open_namespace(url: str, title: str, settings: Settings) -> RemoteServer:
    """A new namespace, with these *settings*, of the server at *url*. Fails the test where the
    server does not answer."""
    from images_emulator.remote_server import RemoteServer  # noqa: PLC0415 - most sessions need none

    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    words = re.sub(r"[^\w.-]+", "-", title, flags=re.ASCII)[-MAX_NAME_CHARS:].strip("-.")
    name = f"{worker}-{words}-{os.urandom(4).hex()}"
    token = settings.admin_token or os.environ.get(TOKEN_VARIABLE) or None
    try:
        with ExitStack() as stack:
            server = stack.enter_context(RemoteServer(url, name, admin_token=token))
            apply_settings(settings, server)
            stack.pop_all()
    except (ServerError, ValueError) as error:
        raise pytest.fail.Exception(f"{URL_OPTION}: {error}", pytrace=False) from None
    return server


def apply_settings(settings: Settings, server: AnyServer) -> None:
    """Give a namespace these *settings*. Each reset puts the settings of its server back. Raises
    ValueError."""
    names = [
        field.name
        for field in fields(settings)
        if field.name not in (*CHANGEABLE, *REMOTE_SETTINGS)
        and getattr(settings, field.name) != field.default
    ]
    if names:
        raise ValueError(
            f"{', '.join(names)} of images_emulator_settings can only be set where the server "
            "is started"
        )
    defaults = {each.name: each.default for each in fields(settings)}
    values = changeable_values(settings)
    changes = {name: value for name, value in values.items() if value != defaults[name]}
    server.configure(**changes)
    if settings.scenario is not None:
        server.begin_scenario(settings.scenario)

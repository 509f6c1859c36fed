"""The ASGI application: the router, which is the exception handler of the endpoints, and the
middleware around it. The way of a call through them is drawn in `.github/CONTRIBUTING.md`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract.calendar import version_on
from images_emulator.contract.notices import NOTICE_HEADER
from images_emulator.contract.refusal import APIError, Refusal
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.state.emulator import Emulator
from images_emulator.web.admin.admin import Admin
from images_emulator.web.call_policy import set_policy_if_valid
from images_emulator.web.cors_middleware import CORSMiddleware
from images_emulator.web.endpoints import Endpoint
from images_emulator.web.fault_middleware import FaultMiddleware
from images_emulator.web.fault_search import FaultSearch
from images_emulator.web.instruments.instrument import Instrument, instruments_of
from images_emulator.web.journal_middleware import JournalMiddleware
from images_emulator.web.json_responses import error_response, server_error
from images_emulator.web.namespaces import Namespaces
from images_emulator.web.path_hints import PathHints
from images_emulator.web.route import Route
from images_emulator.web.route_table import routes

logger = logging.getLogger("images_emulator")


class Router:
    """Finds the endpoint of a path and calls it. Sends the response that the endpoint returns, or
    the answer for the error that it raises.

    A dictionary has the endpoints of the paths without parameters. Starlette's own router and
    exception middleware would double the time of a repeated call.
    """

    def __init__(self, routes: Sequence[Route], emulator: Emulator) -> None:
        self.emulator = emulator
        self._hints = PathHints(routes, emulator)
        self._fixed = {route.path: route.endpoint for route in routes if not route.has_parameters}
        self._with_parameters = [route for route in routes if route.has_parameters]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, exchange = Request(scope, receive, send), exchange_of(scope)
        try:
            response = await self._endpoint(scope)(request)
        except APIError as error:
            response = self._error_response(error, exchange)
        except HTTPException as error:
            response = self._answer_unrouted(error.status_code, exchange)
        except ClientDisconnect:
            # The client left in the middle of its request. Nobody reads this answer.
            response = Response(status_code=499)
        except Exception:
            logger.exception("%s %s failed", exchange.method, exchange.path)
            response = self._error_response(server_error(exchange), exchange)
        if response.status_code == 404 and (hint := self._hints.hint(exchange.path)):
            response.raw_headers.append((NOTICE_HEADER, hint))
        try:
            await response(scope, receive, send)
        except APIError as error:
            # A write to the store has failed, and the answer does not begin without it.
            await self._error_response(error, exchange)(scope, receive, send)

    def _endpoint(self, scope: Scope) -> Endpoint:
        """The endpoint of the path. Puts the parameters of the path into *scope*. Raises
        HTTPException where no route has the path."""
        path = scope["path"]
        if endpoint := self._fixed.get(path):
            return endpoint
        for route in self._with_parameters:
            parameters = route.parameters_in(path)
            if parameters is not None:
                scope["path_params"] = parameters
                return route.endpoint
        raise HTTPException(404)

    def _answer_unrouted(self, status: int, exchange: ServedExchange) -> Response:
        """The answer to an unknown path (404) or a wrong method (405). In OpenAI's dialect today's
        404 is empty, and the 405 has a message."""
        set_policy_if_valid(exchange, self.emulator.settings)
        dialect = exchange.dialect
        if status == 405:
            refusal: Refusal | None = dialect.wrong_method
        else:
            refusal = version_on(exchange.day, dialect.unknown_path, dialect.earlier_unknown_path)
        if refusal is None:
            return Response(status_code=status)
        return self._error_response(refusal(method=exchange.method, path=exchange.path), exchange)

    def _error_response(self, error: APIError, exchange: ServedExchange) -> Response:
        return error_response(error, exchange, self.emulator.settings)


def create_app(
    emulator: Emulator | None = None,
    instruments: Sequence[Instrument] | None = None,
    namespaces: Namespaces | None = None,
) -> ASGIApp:
    """The ASGI application of one namespace, whose state is *emulator*; None: a new one. The
    *instruments* (metrics, traces) observe its calls; None: those of its settings. The admin API
    lists the *namespaces* of the server, if it has any.

    A call passes, outermost first: `wrap_whole_app` of each instrument, `CORSMiddleware`,
    `JournalMiddleware`, `wrap_inner_app` of each instrument, `FaultMiddleware`, `ReplayMiddleware`,
    `Router`. Each of the last three answers the APIErrors of its own work: the store may be away
    whenever it is asked. No APIError is raised once an answer has begun to leave. On a shared store
    `JournalMiddleware` calls `FaultSearch.start_early_search` first: the claim on the scenario then
    goes to the store together with the entry of the journal. A server has a `NamespaceRouter` in
    front of the applications of its namespaces.

    FastAPI serves the admin API alone, and is loaded with its first call. Loading it takes half of
    a server's start. The API's own paths need no more than Starlette, because their bodies are read
    by hand.
    """
    emulator = emulator or Emulator()
    app: ASGIApp = Router(routes(emulator), emulator)
    if emulator.replay:
        from images_emulator.web.replay.replay_middleware import ReplayMiddleware  # noqa: PLC0415 - most servers need none

        app = ReplayMiddleware(app, emulator, emulator.replay)
    if instruments is None:
        instruments = instruments_of(emulator.settings)
    fault_search = FaultSearch(emulator)
    app = FaultMiddleware(app, emulator, fault_search)
    for instrument in instruments:
        instrument.observe(emulator)
        app = instrument.wrap_inner_app(app)
    app = JournalMiddleware(app, Admin(emulator, namespaces), emulator, fault_search)
    app = CORSMiddleware(app, emulator)
    for instrument in instruments:
        app = instrument.wrap_whole_app(app)
    return app

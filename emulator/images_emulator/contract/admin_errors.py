"""Error messages of the admin API under `/_emulator`, in the form of the API's errors."""

from __future__ import annotations

from typing import Final

from images_emulator.contract.errors import Refusal

ERROR_TYPE: Final = "emulator_error"
"""The `type` of all of them."""

# fmt: off
no_such_path = Refusal("There is no {path} here. GET /_emulator/docs lists what there is.", None, "not_found", ERROR_TYPE, 404)
wrong_method = Refusal("{path} does not take {method}.", None, "method_not_allowed", ERROR_TYPE, 405)
bad_input = Refusal("Invalid '{name}': {reason}.", "{name}", "invalid_value", ERROR_TYPE, 422)
unknown_input = Refusal("Unknown '{name}'. There are: {listed}.", "{name}", "unknown_parameter", ERROR_TYPE, 422)
no_such_request = Refusal("The journal has no request '{id}'.", "id", "not_found", ERROR_TYPE, 404)
no_such_part = Refusal("Request '{id}' has no {part}, or it is not kept any more.", None, "not_found", ERROR_TYPE, 404)
no_such_step = Refusal("The scenario has no step '{id}'.", "id", "not_found", ERROR_TYPE, 404)
no_such_scenario = Refusal("There is no ready scenario '{name}'. There are: {listed}.", "name", "not_found", ERROR_TYPE, 404)
foreign_host = Refusal(
    "'{host}' is no host of this server, so a browser may have been lured here. If it is one, start the server with its "
    "--public-url, or with an --admin-token and send that.", "host", "foreign_host", ERROR_TYPE, 403)
foreign_origin = Refusal("Pages of other sites may not ask this server.", "origin", "foreign_origin", ERROR_TYPE, 403)
no_token = Refusal(
    "Send the admin token as a header: Authorization: Bearer TOKEN. A browser gets a cookie in its place from "
    "POST /_emulator/session.", "authorization", "admin_token_required", ERROR_TYPE, 401,
    {"WWW-Authenticate": "Bearer"})
wrong_token = Refusal("This is not the admin token.", "token", "wrong_admin_token", ERROR_TYPE, 401)
not_ready = Refusal("The server is still loading what it draws with.", None, "not_ready", ERROR_TYPE, 503, {"Retry-After": "1"})
broken = Refusal("This is a mistake of the emulator; its log says more.", None, "server_error", ERROR_TYPE, 500)
# fmt: on

"""Error messages of the admin API under `/_emulator`, in the form of the API's errors."""

from __future__ import annotations

from typing import Final

from images_emulator.contract.errors import Refusal

ERROR_TYPE: Final = "emulator_error"
"""The `type` of all of them."""

no_such_path = Refusal(
    "There is no {path} here. GET /_emulator/docs lists what there is.",
    code="not_found",
    type=ERROR_TYPE,
    status=404,
)
wrong_method = Refusal(
    "{path} does not take {method}.",
    code="method_not_allowed",
    type=ERROR_TYPE,
    status=405,
)
bad_input = Refusal(
    "Invalid '{name}': {reason}.",
    param="{name}",
    code="invalid_value",
    type=ERROR_TYPE,
    status=422,
)
unknown_input = Refusal(
    "Unknown '{name}'. There are: {listed}.",
    param="{name}",
    code="unknown_parameter",
    type=ERROR_TYPE,
    status=422,
)
no_such_request = Refusal(
    "The journal has no request '{id}'.",
    param="id",
    code="not_found",
    type=ERROR_TYPE,
    status=404,
)
no_such_part = Refusal(
    "Request '{id}' has no {part}, or it is not kept any more.",
    code="not_found",
    type=ERROR_TYPE,
    status=404,
)
no_such_step = Refusal(
    "The scenario has no step '{id}'.",
    param="id",
    code="not_found",
    type=ERROR_TYPE,
    status=404,
)
no_such_scenario = Refusal(
    "There is no ready scenario '{name}'. There are: {listed}.",
    param="name",
    code="not_found",
    type=ERROR_TYPE,
    status=404,
)
foreign_host = Refusal(
    "'{host}' is no host of this server, so a browser may have been lured here. If it "
    "is one, start the server with its --public-url, or with an --admin-token and send "
    "that.",
    param="host",
    code="foreign_host",
    type=ERROR_TYPE,
    status=403,
)
foreign_origin = Refusal(
    "Pages of other sites may not ask this server.",
    param="origin",
    code="foreign_origin",
    type=ERROR_TYPE,
    status=403,
)
no_token = Refusal(
    "Send the admin token as a header: Authorization: Bearer TOKEN. A browser gets a "
    "cookie in its place from POST /_emulator/session.",
    param="authorization",
    code="admin_token_required",
    type=ERROR_TYPE,
    status=401,
    headers={"WWW-Authenticate": "Bearer"},
)
wrong_token = Refusal(
    "This is not the admin token.",
    param="token",
    code="wrong_admin_token",
    type=ERROR_TYPE,
    status=401,
)
not_ready = Refusal(
    "The server is still loading what it draws with.",
    code="not_ready",
    type=ERROR_TYPE,
    status=503,
    headers={"Retry-After": "1"},
)
broken = Refusal(
    "This is a mistake of the emulator; its log says more.",
    code="server_error",
    type=ERROR_TYPE,
    status=500,
)

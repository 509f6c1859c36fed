"""Error messages of the admin API under `/_emulator`, in the form of the API's errors."""

from __future__ import annotations

from typing import Final

from images_emulator.contract.refusal import Refusal

ERROR_TYPE: Final = "emulator_error"
"""The `type` of all of them."""


class AdminRefusal(Refusal):
    """An error message of the admin API."""

    type: str = ERROR_TYPE


no_such_path = AdminRefusal(
    "There is no {path} here. GET /_emulator/docs lists what there is.",
    code="not_found",
    status=404,
)
wrong_method = AdminRefusal(
    "{path} does not take {method}.",
    code="method_not_allowed",
    status=405,
)
bad_input = AdminRefusal(
    "Invalid '{name}': {reason}.",
    param="{name}",
    code="invalid_value",
    status=422,
)
unknown_input = AdminRefusal(
    "Unknown '{name}'{meant}. There are: {listed}.",
    param="{name}",
    code="unknown_parameter",
    status=422,
)
no_such_request = AdminRefusal(
    "The journal has no request '{id}'.",
    param="id",
    code="not_found",
    status=404,
)
no_such_part = AdminRefusal(
    "Request '{id}' has no {part}, or it is not kept any more.",
    code="not_found",
    status=404,
)
not_held = AdminRefusal(
    "There is no exchange file of request '{id}': it {reason}.",
    param="id",
    code="not_held",
    status=409,
)
no_such_namespace = AdminRefusal(
    "There is no namespace '{name}'.",
    param="name",
    code="not_found",
    status=404,
)
default_namespace = AdminRefusal(
    "The default namespace stays. POST /_emulator/reset forgets what it has.",
    param="name",
    code="default_namespace",
    status=409,
)
no_such_step = AdminRefusal(
    "The scenario has no step '{id}'.",
    param="id",
    code="not_found",
    status=404,
)
no_such_picture = AdminRefusal(
    "Step '{id}' answers with no picture {index} that can be opened.",
    param="index",
    code="not_found",
    status=404,
)
no_such_scenario = AdminRefusal(
    "There is no ready scenario '{name}'. There are: {listed}.",
    param="name",
    code="not_found",
    status=404,
)
foreign_host = AdminRefusal(
    "'{host}' is no host of this server, so a browser may have been lured here. If it "
    "is one, start the server with its --public-url, or with an --admin-token and send "
    "that.",
    param="host",
    code="foreign_host",
    status=403,
)
foreign_origin = AdminRefusal(
    "Pages of other sites may not ask this server.",
    param="origin",
    code="foreign_origin",
    status=403,
)
no_token = AdminRefusal(
    "Send the admin token as a header: Authorization: Bearer TOKEN. A browser gets a "
    "cookie in its place from POST /_emulator/session.",
    param="authorization",
    code="admin_token_required",
    status=401,
    headers={"WWW-Authenticate": "Bearer"},
)
wrong_token = AdminRefusal(
    "This is not the admin token.",
    param="token",
    code="wrong_admin_token",
    status=401,
)
not_ready = AdminRefusal(
    "The server is still loading what it draws with.",
    code="not_ready",
    status=503,
    headers={"Retry-After": "1"},
)
broken = AdminRefusal(
    "This is a mistake of the emulator; its log says more.",
    code="server_error",
    status=500,
)
bad_scenario = AdminRefusal(
    "{reason}",
    code="invalid_scenario",
)

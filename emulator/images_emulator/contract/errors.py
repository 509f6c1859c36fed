"""The error messages of the API. Each `Refusal` is one message, with its type, param, code and HTTP
status.

A refusal is a format. Code calls it with the values of its fields, and raises the `APIError` that
it returns. The words are the API's own, as recorded. Where no recording shows them, they follow the
form of recorded ones, and a comment says so.

A refusal whose words have changed has its earlier versions. The code that raises an error does not
know the day that judges the call. An `APIError` has no body: `Exchange.error_answer` makes the
`ErrorAnswer` in the words of that day, which is all that an answer or an event can be written from.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from images_emulator.contract.calendar import GATEWAY_SINCE, JSON_EDITS_SINCE, AsOf, version_on
from images_emulator.immutable import Immutable

GATEWAY_TYPE: Final = "invalid_request_error"
"""The `type` of errors of the gateway, which checks names, types, ranges and words."""

SERVICE_TYPE: Final = "image_generation_user_error"
"""The `type` of errors of the image service behind it, which checks models, sizes, files, and how
parameters combine."""


class Envelope(Immutable):
    """The form of an error body: the *keys* of the error object in their order, and the *end* of
    the body, such as a newline."""

    keys: tuple[str, ...] = ("message", "type", "param", "code")
    end: str = ""


TODAYS_ENVELOPE: Final = Envelope()
"""The gateway's."""

OLDER_ENVELOPE: Final = Envelope(("code", "message", "param", "type"), "\n")
"""The older stack's, recorded until 2025-08."""

API_MANAGEMENT_ENVELOPE: Final = Envelope(("code", "message"))
"""The form of errors of Azure API Management, the proxy in front of Azure's service."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as a client reads it: the HTTP *status* and the fields of the `error` object, in the
    words of one day.

    The answer has *headers* beside the standard ones. *details* are further fields of the object.
    """

    message: str | None
    status: int = 400
    type: str = GATEWAY_TYPE
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    envelope: Envelope = TODAYS_ENVELOPE

    def body(self) -> dict[str, Any]:
        """The body, without the envelope's end. A field without a value is null."""
        return {
            "error": {**{key: getattr(self, key) for key in self.envelope.keys}, **self.details}
        }

    def in_older_envelope(self) -> ErrorAnswer:
        """The answer in the envelope of the older stack, for a message whose older words are not
        known; this object where its envelope is not today's."""
        if self.envelope != TODAYS_ENVELOPE:
            return self
        return ErrorAnswer(
            self.message,
            status=self.status,
            type=GATEWAY_TYPE if self.type == SERVICE_TYPE else self.type,
            headers=self.headers,
            envelope=OLDER_ENVELOPE,
        )


class APIError(Exception):
    """A call is refused. The exception has no body: `on` makes the `ErrorAnswer` of a day.

    *newest* is the answer in the newest words. *refusal* made it, with *values* for its fields; it
    is None where nothing but *newest* is known.
    """

    def __init__(
        self,
        newest: ErrorAnswer,
        refusal: Refusal | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(newest.message)
        self.newest = newest
        self.refusal = refusal
        self.values: Mapping[str, object] = values or {}
        self.headers: Mapping[str, str] = {}
        """Headers of the answer beside those of the refusal."""
        self.is_of_operation = False
        """Whether an image operation refused the call, when it read or validated the body. Such an
        error has the older stack's envelope on the days of that stack."""

    def on(self, day: AsOf) -> ErrorAnswer:
        """The answer in the words and the envelope of *day*; None: the newest ones."""
        answer = self.refusal.on(day).answer(self.values) if self.refusal else self.newest
        if self.headers:
            answer = replace(answer, headers={**answer.headers, **self.headers})
        if self.is_of_operation and day and day < GATEWAY_SINCE:
            return answer.in_older_envelope()
        return answer


MAX_SHOWN_VALUE: Final = 4096
"""The most characters of a text, or digits of a number, that an error message repeats."""

MAX_SHOWN_NAME: Final = 256
"""The most characters of a parameter's name in a violation. A client may send longer names."""


class Violation(Immutable):
    """A mistake that lenient validation forgives: *param* and *code* of the error that strict
    validation raises. The request holds the violation, not the error. The traceback of the error
    would keep the frames in memory, and with them the decoded images."""

    param: str | None
    code: str | None

    @classmethod
    def of(cls, error: APIError) -> Violation:
        """The violation in place of *error*."""
        param = error.newest.param
        if param and len(param) > MAX_SHOWN_NAME:
            param = f"{param[: MAX_SHOWN_NAME - 1]}…"
        return cls(param, error.newest.code)

    def __str__(self) -> str:
        return f"{self.param or 'request'}: {self.code}"


class Refusal(Immutable):
    """One error message with its other fields. *message*, *param* and *code* are formats.

    The answer has *headers* beside the standard ones. *earlier* has the former versions as `(until,
    refusal)`, the oldest first; the day *until* is not included. Each is whole: it inherits
    neither type, param, code, status, headers nor envelope.
    """

    message: str
    param: str | None = None
    code: str | None = None
    type: str = GATEWAY_TYPE
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=dict)
    envelope: Envelope = TODAYS_ENVELOPE
    earlier: tuple[tuple[date, Refusal], ...] = ()

    def on(self, day: AsOf) -> Refusal:
        """The version of *day*; None for the newest one."""
        return version_on(day, self, self.earlier)

    def __call__(self, **values: object) -> APIError:
        """The error with *values* for the fields. Raises KeyError where one is missing."""
        return APIError(self.answer(values), self, values)

    def answer(self, values: Mapping[str, object]) -> ErrorAnswer:
        """The answer in the words of this version, with *values* for the fields. Raises KeyError
        where one is missing."""
        return ErrorAnswer(
            self.message.format_map(values),
            status=self.status,
            type=self.type,
            param=self.param and self.param.format_map(values),
            code=self.code and self.code.format_map(values),
            headers=self.headers,
            envelope=self.envelope,
        )


def older_stack_versions(message: str, code: str | None = None) -> tuple[tuple[date, Refusal], ...]:
    """`earlier` of a refusal with one earlier version, the older stack's *message*. It had no
    param."""
    return ((GATEWAY_SINCE, Refusal(message, None, code, envelope=OLDER_ENVELOPE)),)


class Words(tuple[str, ...]):
    """Words that a message lists: `{words}` gives `'a', 'b', and 'c'`, `{words:or}` gives
    `'a', 'b', or 'c'`, `{words:,}` gives `'a', 'b', 'c'`."""

    __slots__ = ()

    def __format__(self, last: str) -> str:
        if last == ",":
            return ", ".join(f"'{word}'" for word in self)
        return quoted_list(self, last or "and")


def json_type(value: object) -> str:
    """The JSON type of *value* in the API's words: `a string`, `an integer`, `null` …"""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case Sequence():
            return "an array"
        case Mapping():
            return "an object"
        case _:
            return "a file"


class _BoundedRepr(reprlib.Repr):
    """Python's `repr` of a value, cut at `MAX_SHOWN_VALUE`."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = MAX_SHOWN_VALUE

    def repr_instance(self, value: object, level: int) -> str:
        scalar = value is None or isinstance(value, bool | float)
        return repr(value) if scalar else json_type(value)


def python_repr(value: object) -> str:
    """*value*, from JSON or a form, in the words of the older stack's messages: `'x'`, `True`,
    `[1, 2]`, and `a file` for an upload. Long and deep values are cut."""
    return _BOUNDED_REPR.repr(value)


def quoted_list(words: Sequence[str], last: str = "and") -> str:
    """*words* in quotes, as the API lists them: `'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`."""
    quoted = [f"'{word}'" for word in words]
    if len(quoted) < 3:
        return f" {last} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {last} {quoted[-1]}"


def mask_key(key: str) -> str:
    """An API key in the form in which error messages repeat it. A key of up to 12 characters stays
    whole. A longer key keeps its prefix and its last four characters: `sk-proj-****abcd`. At least
    four characters are hidden."""
    if len(key) <= 12:
        return key
    prefix = re.match(r"sk-(?:[a-z]+-)?", key)
    start = prefix.end() if prefix and prefix.end() <= len(key) - 8 else 0
    return key[:start] + "*" * (len(key) - 4 - start) + key[-4:]


_BOUNDED_REPR: Final = _BoundedRepr()

# --- the gateway: names, types, ranges and words
missing_parameter = Refusal(
    "Missing required parameter: '{name}'.",
    param="{name}",
    code="missing_required_parameter",
    earlier=older_stack_versions("'{name}' is a required property"),
)
# The older version: xenodium/chatgpt-shell#47, 2023-04.
unknown_parameter = Refusal(
    "Unknown parameter: '{name}'.",
    param="{name}",
    code="unknown_parameter",
    earlier=older_stack_versions("Additional properties are not allowed ('{name}' was unexpected)"),
)
image_in_json = Refusal(
    "Unknown parameter: 'image'. For application/json on {path}, use 'images' (array).",
    param="image",
    code="invalid_value",
)
images_in_form = Refusal(
    "Unknown parameter: 'images'. For multipart/form-data use 'image' or 'image[]'.",
    param="images",
    code="invalid_value",
)
# The code was not recorded with the message.
duplicate_parameter = Refusal(
    "Duplicate parameter: '{name}'. You provided multiple values for this parameter, "
    "whereas only one is allowed. If you are trying to provide a list of values, use "
    "the array syntax instead e.g. '{name}[]=<value>'.",
    param="{name}",
    code="duplicate_parameter",
)
# Recorded for names with brackets and without. The code was not shown with the message.
different_value = Refusal(
    "Invalid parameter: '{name}'. This parameter already has a different value in your parameters.",
    param="{name}",
    code="invalid_parameter",
)
_WRONG_TYPE: Final = "Invalid type for '{name}': expected {expected}, but got {got} instead."
wrong_type = Refusal(
    _WRONG_TYPE,
    param="{name}",
    code="invalid_type",
)
# WongSaang/chatgpt-ui#99, 2023-03, of another endpoint.
_NOT_OF_TYPE: Final = older_stack_versions("{value} is not of type '{kind}' - '{name}'")
wrong_scalar = Refusal(
    _WRONG_TYPE,
    param="{name}",
    code="invalid_type",
    earlier=_NOT_OF_TYPE,
)
# Recorded for integers only.
unconvertible = Refusal(
    "Invalid type for '{name}': expected {expected}, but got a string value that could "
    "not be converted into {expected}.",
    param="{name}",
    code="invalid_type",
    earlier=_NOT_OF_TYPE,
)
# The older version has the form of `[] is too short - 'messages'`, seen on another endpoint.
empty_string = Refusal(
    "Invalid '{name}': empty string. Expected a string with minimum length 1, but got "
    "an empty string instead.",
    param="{name}",
    code="empty_string",
    earlier=older_stack_versions("'' is too short - '{name}'"),
)
string_too_long = Refusal(
    "Invalid '{name}': string too long. Expected a string with maximum length {limit}, "
    "but got a string with length {length} instead.",
    param="{name}",
    code="string_above_max_length",
    earlier=older_stack_versions("'{value}' is too long - '{name}'"),
)
integer_too_small = Refusal(
    "Invalid '{name}': integer below minimum value. Expected a value >= {limit}, but "
    "got {value} instead.",
    param="{name}",
    code="integer_below_min_value",
    earlier=older_stack_versions("{value} is less than the minimum of {limit} - '{name}'"),
)
integer_too_large = Refusal(
    "Invalid '{name}': integer above maximum value. Expected a value <= {limit}, but "
    "got {value} instead.",
    param="{name}",
    code="integer_above_max_value",
    earlier=older_stack_versions("{value} is greater than the maximum of {limit} - '{name}'"),
)
_NOT_ONE_OF: Final = older_stack_versions("'{value}' is not one of [{listed:,}] - '{name}'")
value_not_listed = Refusal(
    "Invalid value: '{value}'. Supported values are: {listed}.",
    param="{name}",
    code="invalid_value",
    earlier=_NOT_ONE_OF,
)
value_not_the_only_one = Refusal(
    "Invalid value: '{value}'. Value must be {listed}.",
    param="{name}",
    code="invalid_value",
    earlier=_NOT_ONE_OF,
)
empty_array = Refusal(
    "Invalid '{name}': empty array. Expected an array with minimum length 1, but got "
    "an empty array instead.",
    param="{name}",
    code="empty_array",
)
# Not recorded; in the form of `empty_array` and `string_too_long`.
array_too_long = Refusal(
    "Invalid '{name}': array too long. Expected an array with maximum length {limit}, "
    "but got an array with length {length} instead.",
    param="{name}",
    code="array_above_max_length",
)
# Recorded on 2026-07-28, without a code. Until some day after 2025-05 such a part was a text. The
# oldest version was not recorded, and has the form of `_NOT_OF_TYPE`.
missing_filename = Refusal(
    "Invalid file '{name}': missing filename",
    param="{name}",
    code="missing_filename",
    earlier=(
        *older_stack_versions("{value} is not of type 'file' - '{name}'"),
        (
            JSON_EDITS_SINCE,
            Refusal(
                "Invalid type for '{name}': expected {expected}, but got a string instead.",
                param="{name}",
                code="invalid_type",
            ),
        ),
    ),
)
unsupported_mimetype = Refusal(
    "Invalid file '{name}': unsupported mimetype ('{mimetype}'). Supported file "
    "formats are {listed}.",
    param="{name}",
    code="unsupported_file_mimetype",
)
missing_mimetype = Refusal(
    "Invalid file '{name}': failed to determine mimetype. Ensure you are providing the "
    "file's mimetype as part of the 'Content-Type' header.",
    param="{name}",
    code="missing_file_mimetype",
)
# Not recorded; documented as "less than 50MB" and "less than 4MB".
file_too_large = Refusal(
    "Invalid file '{name}': file too large. Expected a file smaller than {limit} "
    "bytes, but got a file of {size} bytes instead.",
    param="{name}",
    code="file_above_max_size",
)
# Not recorded; documented as exactly one of the two.
not_one_reference = Refusal(
    "Invalid value for '{name}': expected exactly one of 'image_url' or 'file_id'.",
    param="{name}",
    code="invalid_value",
)
# Not recorded; documented as "a fully qualified URL or base64-encoded data URL".
not_an_image_url = Refusal(
    "Invalid '{name}': expected a fully qualified URL or a base64-encoded data URL.",
    param="{name}",
    code="invalid_value",
)
download_failed = Refusal(
    "Error while downloading file. Upstream status code: {status}.",
    param="url",
    code="invalid_value",
)
# Recorded of the Files API, not of images.
no_such_file = Refusal(
    "No such File object: {file_id}",
    param="id",
    status=404,
)
# The checks of files for dall-e-2, until it was retired. They had no `param`.
_NOT_PNG: Final = "Uploaded image must be a PNG and less than 4 MB."
# It had no code at first. The day of the change is not known; this one is dall-e-3's release.
upload_not_png = Refusal(
    _NOT_PNG,
    code="invalid_image_format",
    earlier=(
        (
            date(2023, 11, 6),
            Refusal(
                _NOT_PNG,
                envelope=OLDER_ENVELOPE,
            ),
        ),
        *older_stack_versions(_NOT_PNG, "invalid_image_format"),
    ),
)
_NOT_SQUARE: Final = (
    "Invalid input image - expected an image with equal width and height, got "
    "{width}x{height} instead."
)
upload_not_square = Refusal(
    _NOT_SQUARE,
    earlier=older_stack_versions(_NOT_SQUARE),
)
_WRONG_MODE: Final = "Invalid input image - format must be in [{listed:,}], got {mode}."
upload_wrong_mode = Refusal(
    _WRONG_MODE,
    earlier=older_stack_versions(_WRONG_MODE),
)
# Errors of one model of the older stack, for values that the schema shared by its models accepts.
older_prompt_too_long = Refusal(
    "Prompt must be length {limit} or less. Your prompt length is {length}. Please "
    "reduce your prompt length.",
    envelope=OLDER_ENVELOPE,
)
older_more_than_one = Refusal(
    "You must provide n=1 for this model.",
    envelope=OLDER_ENVELOPE,
)
older_size_unsupported = Refusal(
    "The size is not supported by this model.",
    code="invalid_size",
    envelope=OLDER_ENVELOPE,
)

# --- the image service: models, sizes, files, and how parameters combine
no_such_model = Refusal(
    "The model '{model}' does not exist.",
    param="model",
    code="invalid_value",
    type=SERVICE_TYPE,
    earlier=older_stack_versions("Invalid model {model}. The model argument should be left blank."),
)
size_not_listed = Refusal(
    "Invalid size '{value}'. Supported sizes are {sizes}.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
size_syntax = Refusal(
    "Invalid size '{value}'. Expected WIDTHxHEIGHT, for example '1824x1024'.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
size_not_divisible = Refusal(
    "Invalid size '{value}'. Width and height must both be divisible by {step}.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
size_edge_too_long = Refusal(
    "Invalid size '{value}'. The longest edge must be less than or equal to {edge}.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
# Not recorded; in the form of `size_edge_too_long`.
size_edge_too_short = Refusal(
    "Invalid size '{value}'. The shortest edge must be greater than or equal to {edge}.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
# Not recorded; the words are those of clients that check it themselves.
size_too_elongated = Refusal(
    "Invalid size '{value}'. Long-edge to short-edge ratio must be less than or equal "
    "to {ratio}:1.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
size_too_few_pixels = Refusal(
    "Invalid size '{value}'. Requested resolution is below the current minimum pixel budget.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
size_too_many_pixels = Refusal(
    "Invalid size '{value}'. Requested resolution exceeds the current pixel budget.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
# Not recorded. Third parties measured that the limits hold for the sheet of all frames.
_SHEET: Final = (
    "Invalid size '{value}'. The {sheet.frames} frames of the animation share one "
    "sheet of {sheet.columns}x{sheet.rows} frames, here {sheet.width}x{sheet.height} "
    "pixels. "
)
sheet_edge_too_long = Refusal(
    f"{_SHEET}The longest edge of the sheet must be less than or equal to {{limit}}.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
sheet_too_few_pixels = Refusal(
    f"{_SHEET}The sheet must have at least {{limit:,}} pixels.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
sheet_too_many_pixels = Refusal(
    f"{_SHEET}The sheet must have at most {{limit:,}} pixels.",
    param="size",
    code="invalid_value",
    type=SERVICE_TYPE,
)
parameter_not_supported = Refusal(
    "The model '{model}' does not support the '{name}' parameter.",
    param="{name}",
    code="invalid_{name}_model",
    type=SERVICE_TYPE,
)
transparent_unsupported = Refusal(
    "Transparent background is not supported for this model.",
    param="background",
    code="invalid_value",
    type=SERVICE_TYPE,
)
transparent_jpeg = Refusal(
    "Transparent background is not supported for JPEG output format",
    param="background",
    code="invalid_value",
    type=SERVICE_TYPE,
)
compressed_png = Refusal(
    "Compression less than 100 is not supported for PNG output format",
    code="invalid_png_output_compression",
    type=SERVICE_TYPE,
)
streamed_batch = Refusal(
    "Streaming is only supported with n=1.",
    param="input",
    code="unsupported_parameter",
    type=SERVICE_TYPE,
)
# Not recorded; documented as "Only supported with output_format=gif" (svg).
only_with_format = Refusal(
    "The '{name}' parameter is only supported with output_format={output_format}.",
    param="{name}",
    code="unsupported_parameter",
    type=SERVICE_TYPE,
)
# Not recorded; documented as "does not support" and "cannot use".
not_with_format = Refusal(
    "The '{name}' parameter is not supported with output_format={output_format}.",
    param="{name}",
    code="unsupported_parameter",
    type=SERVICE_TYPE,
)
# Not recorded; documented as "Cannot be combined with mask".
mask_with_markup = Refusal(
    "The 'markup' parameter cannot be combined with 'mask'.",
    param="markup",
    code="unsupported_parameter",
    type=SERVICE_TYPE,
)
# The first image has number 1.
image_undecodable = Refusal(
    "Invalid image file or mode for image {number}, please check your image file.",
    code="invalid_image_file",
    type=SERVICE_TYPE,
)
image_data_invalid = Refusal(
    "Invalid image data.",
    param="{name}",
    code="invalid_image_file",
    type=SERVICE_TYPE,
)
# The errors of overlays were recorded for `mask` only, and none with a `param`.
overlay_wrong_size = Refusal(
    "Invalid {name} image format - {name} size does not match image size",
    code="invalid_{name}_image_format",
    type=SERVICE_TYPE,
)
overlay_without_alpha = Refusal(
    "Invalid {name} image format - {name} image missing alpha channel",
    code="invalid_{name}_image_format",
    type=SERVICE_TYPE,
)
# Not recorded; documented: a markup must "contain transparent pixels".
overlay_opaque = Refusal(
    "Invalid {name} image format - {name} image has no transparent pixels",
    code="invalid_{name}_image_format",
    type=SERVICE_TYPE,
)
# Not recorded; documented: a mask is "a valid PNG file".
overlay_undecodable = Refusal(
    "Invalid {name} image format - {name} image is not a valid PNG file",
    code="invalid_{name}_image_format",
    type=SERVICE_TYPE,
)

# --- before the gateway: keys, methods and bodies
_ACCOUNT = "https://platform.openai.com/account/api-keys"
_AUTHENTICATE = {"WWW-Authenticate": 'Bearer realm="OpenAI API"'}
# Recorded in 2022. Spelling and address are those of later copies; the day of their change is not
# known.
missing_key = Refusal(
    "You didn't provide an API key. You need to provide your API key in an "
    "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or "
    "as the password field (with blank username) if you're accessing the API from your "
    "browser and are prompted for a username and password. You can obtain an API key "
    f"from {_ACCOUNT}.",
    status=401,
    headers=_AUTHENTICATE,
    earlier=(
        (
            date(2023, 3, 1),
            Refusal(
                "You didn't provide an API key. You need to provide your API key in an "
                "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or "
                "as the password field (with blank username) if you're accesing the API from your "
                "browser and are prompted for a username and password. You can obtain an API key "
                "from https://beta.openai.com.",
                status=401,
                headers=_AUTHENTICATE,
            ),
        ),
    ),
)
incorrect_key = Refusal(
    f"Incorrect API key provided: {{key}}. You can find your API key at {_ACCOUNT}.",
    code="invalid_api_key",
    status=401,
    headers=_AUTHENTICATE,
)
method_not_allowed = Refusal(
    "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
    status=405,
)
unsupported_content_type = Refusal(
    "Unsupported content type: '{given}'. This API method only accepts {listed:or} "
    "requests, but you specified the header 'Content-Type: {given}'. Please try again "
    "with a supported content type.",
    code="unsupported_content_type",
)
malformed_json = Refusal(
    "We could not parse the JSON body of your request. (HINT: This likely means you "
    "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, "
    "but what was sent was not valid JSON. If you have trouble figuring out how to fix "
    "this, please contact us through our help center at help.openai.com.)"
)
# Not recorded; in the form of `wrong_type`.
not_an_object = Refusal(
    "Invalid type for the request body: expected an object, but got {got} instead.",
    code="invalid_type",
)
# Recorded of the Files API.
unnamed_file = Refusal(
    "The browser (or proxy) sent a request that this server could not understand.",
    type="server_error",
)
malformed_form = Refusal("Could not parse multipart form")
# Not recorded; a client saw a bare 413.
body_too_large = Refusal(
    "Maximum content size limit exceeded.",
    status=413,
)
# Not recorded.
head_too_large = Refusal(
    "The request line and the headers must not be larger than {limit} bytes.",
    code="request_headers_too_large",
    status=431,
)
model_not_listed = Refusal(
    "The model '{model}' does not exist",
    param="model",
    code="model_not_found",
    status=404,
)
generation_failed = Refusal(
    "Image generation failed",
    code="image_generation_failed",
    type="image_generation_server_error",
    status=500,
)
server_error = Refusal(
    "The server had an error processing your request. Sorry about that! You can retry "
    "your request, or contact us through our help center at help.openai.com if you "
    "encounter this error repeatedly.",
    type="server_error",
    status=500,
)
# --- errors of the emulator alone, at paths of the API and in the form of its errors
not_served = Refusal(
    "This emulator does not serve {method} {path}. It serves {paths}.",
    code="not_served",
    status=404,
)
bad_override = Refusal(
    "Invalid header '{header}': {reason}.",
    param="{header}",
    code="invalid_header",
)
bad_directive = Refusal(
    "Invalid directive in 'prompt': {reason}.",
    param="prompt",
    code="invalid_directive",
)
bad_scenario = Refusal(
    "{reason}",
    code="invalid_scenario",
)

"""The error messages of the API and their wording. Each is a `Refusal`. A new error is a `Refusal`
here; `azure.py` says where one that Azure alone sends goes. Words for one parameter alone are a
`Refusal` of their own, in `refusal=` of its `Choice`. A rule of another kind that needs that field
gets it as `Choice` has it.

A sentence that changes on a day has its former words in `earlier`. A new day, if no later than
`LAST_KNOWN_DAY`, is also one of `KNOWN_DAYS` in `tests/test_calendar.py`.

The words are the API's own, as recorded. Words that no recording shows follow the form of recorded
ones, and a comment says so.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from images_emulator.contract.calendar import GATEWAY_SINCE, JSON_EDITS_SINCE
from images_emulator.contract.refusal import (
    IMAGE_SERVICE_TYPE,
    OLDER_ENVELOPE,
    Refusal,
    older_stack_versions,
)

# --- the gateway: names, types, ranges and words
missing_parameter = Refusal(
    "Missing required parameter: '{name}'.",
    param="{name}",
    code="missing_required_parameter",
    earlier=older_stack_versions("'{name}' is a required property"),
)
# The older version: xenodium/chatgpt-shell#47, 2023-04, of one name. It lists all names, sorted as
# texts: traceloop/openllmetry-js, 2025-08-10.
unknown_parameter = Refusal(
    "Unknown parameter: '{name}'.",
    param="{name}",
    code="unknown_parameter",
    earlier=older_stack_versions(
        "Additional properties are not allowed ({unknown:was} unexpected)"
    ),
)
# The error of a field of an object, and of a value that is refused like an unknown parameter. The
# older stack had neither.
unknown_field = replace(unknown_parameter, earlier=())
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
# Reported for edits whose prompt was too long, from 2025 to 2026-06: the gateway then answered with
# an error of the schema of dall-e-2.
model_not_dalle_2 = Refusal(
    "Invalid value: '{model}'. Value must be 'dall-e-2'.",
    param="model",
    code="invalid_value",
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
# Recorded on 2026-07-28; the recording does not show the code. Until some day after 2025-05 a part
# without a file name was a text. The oldest version was not recorded; it has the form of
# `_NOT_OF_TYPE`.
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

# --- files: of the Files API, and those that dall-e-2 took
# Recorded of the Files API, not of images.
no_such_file = Refusal(
    "No such File object: {file_id}",
    param="id",
    status=404,
)
# The checks of files for dall-e-2, until it was retired. They had no `param`. Their type
# behind the gateway was recorded for `upload_wrong_mode` only; it is assumed for the others.
_NOT_PNG: Final = "Uploaded image must be a PNG and less than 4 MB."
# The error had no code at first. The day of the change is not known; here it is dall-e-3's release.
upload_not_png = Refusal(
    _NOT_PNG,
    code="invalid_image_format",
    type=IMAGE_SERVICE_TYPE,
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
    type=IMAGE_SERVICE_TYPE,
    earlier=older_stack_versions(_NOT_SQUARE),
)
_WRONG_MODE: Final = "Invalid input image - format must be in [{listed:,}], got {mode}."
# Behind the gateway: traceloop/openllmetry-js, 2025-08-11.
upload_wrong_mode = Refusal(
    _WRONG_MODE,
    type=IMAGE_SERVICE_TYPE,
    earlier=older_stack_versions(_WRONG_MODE),
)

# --- the older stack: a model's own rules, for values that the schema of all models accepts
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
# Not recorded; in the form of `older_size_unsupported`.
older_quality_unsupported = Refusal(
    "The quality is not supported by this model.",
    code="invalid_quality",
    envelope=OLDER_ENVELOPE,
)

# --- the image service: models, sizes, files, and how parameters combine
no_such_model = Refusal(
    "The model '{model}' does not exist.",
    param="model",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
    earlier=older_stack_versions("Invalid model {model}. The model argument should be left blank."),
)
size_not_listed = Refusal(
    "Invalid size '{value}'. Supported sizes are {sizes}.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
size_syntax = Refusal(
    "Invalid size '{value}'. Expected WIDTHxHEIGHT, for example '1824x1024'.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
size_not_divisible = Refusal(
    "Invalid size '{value}'. Width and height must both be divisible by {step}.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
size_edge_too_long = Refusal(
    "Invalid size '{value}'. The longest edge must be less than or equal to {edge}.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded; in the form of `size_edge_too_long`.
size_edge_too_short = Refusal(
    "Invalid size '{value}'. The shortest edge must be greater than or equal to {edge}.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded. The words are from clients that check the ratio themselves.
size_too_elongated = Refusal(
    "Invalid size '{value}'. Long-edge to short-edge ratio must be less than or equal "
    "to {ratio}:1.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
size_too_few_pixels = Refusal(
    "Invalid size '{value}'. Requested resolution is below the current minimum pixel budget.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
size_too_many_pixels = Refusal(
    "Invalid size '{value}'. Requested resolution exceeds the current pixel budget.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
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
    type=IMAGE_SERVICE_TYPE,
)
sheet_too_few_pixels = Refusal(
    f"{_SHEET}The sheet must have at least {{limit:,}} pixels.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
sheet_too_many_pixels = Refusal(
    f"{_SHEET}The sheet must have at most {{limit:,}} pixels.",
    param="size",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
parameter_not_supported = Refusal(
    "The model '{model}' does not support the '{name}' parameter.",
    param="{name}",
    code="invalid_{name}_model",
    type=IMAGE_SERVICE_TYPE,
)
transparent_unsupported = Refusal(
    "Transparent background is not supported for this model.",
    param="background",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
transparent_jpeg = Refusal(
    "Transparent background is not supported for JPEG output format",
    param="background",
    code="invalid_value",
    type=IMAGE_SERVICE_TYPE,
)
compressed_png = Refusal(
    "Compression less than 100 is not supported for PNG output format",
    code="invalid_png_output_compression",
    type=IMAGE_SERVICE_TYPE,
)
streamed_batch = Refusal(
    "Streaming is only supported with n=1.",
    param="input",
    code="unsupported_parameter",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded; documented as "Only supported with output_format=gif" (svg).
only_with_format = Refusal(
    "The '{name}' parameter is only supported with output_format={output_format}.",
    param="{name}",
    code="unsupported_parameter",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded; documented as "does not support" and "cannot use".
not_with_format = Refusal(
    "The '{name}' parameter is not supported with output_format={output_format}.",
    param="{name}",
    code="unsupported_parameter",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded; documented as "Cannot be combined with mask".
mask_with_markup = Refusal(
    "The 'markup' parameter cannot be combined with 'mask'.",
    param="markup",
    code="unsupported_parameter",
    type=IMAGE_SERVICE_TYPE,
)
# The first image has number 1, and index 0 in the older version, which keeps the API's "the your".
# That version was recorded on 2025-04-28 (crmne/ruby_llm), today's version on 2025-06-05.
image_undecodable = Refusal(
    "Invalid image file or mode for image {number}, please check your image file.",
    code="invalid_image_file",
    type=IMAGE_SERVICE_TYPE,
    earlier=(
        (
            date(2025, 6, 5),
            Refusal(
                "Invalid image file or mode for image {index}, please check the your image file.",
                code="invalid_image_file",
            ),
        ),
    ),
)
image_data_invalid = Refusal(
    "Invalid image data.",
    param="{name}",
    code="invalid_image_file",
    type=IMAGE_SERVICE_TYPE,
)
# The errors of overlays were recorded for `mask` only, and none with a `param`.
overlay_wrong_size = Refusal(
    "Invalid {name} image format - {name} size does not match image size",
    code="invalid_{name}_image_format",
    type=IMAGE_SERVICE_TYPE,
)
overlay_without_alpha = Refusal(
    "Invalid {name} image format - {name} image missing alpha channel",
    code="invalid_{name}_image_format",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded; documented: a markup must "contain transparent pixels".
overlay_opaque = Refusal(
    "Invalid {name} image format - {name} image has no transparent pixels",
    code="invalid_{name}_image_format",
    type=IMAGE_SERVICE_TYPE,
)
# Not recorded; documented: a mask is "a valid PNG file".
overlay_undecodable = Refusal(
    "Invalid {name} image format - {name} image is not a valid PNG file",
    code="invalid_{name}_image_format",
    type=IMAGE_SERVICE_TYPE,
)

# --- checks in front of the gateway: keys, methods and bodies
_ACCOUNT = "https://platform.openai.com/account/api-keys"
_AUTHENTICATE = {"WWW-Authenticate": 'Bearer realm="OpenAI API"'}
_AUTHENTICATE_BASIC = {"WWW-Authenticate": 'Basic realm="OpenAI API"'}
# The header of the older stack was recorded on 2023-07-27 (azopenai), and variations were without
# one on 2025-09-17 (openai/openai-dotnet). This day is between them.
_BASIC_UNTIL: Final = date(2024, 8, 22)


def _older_key_versions(message: str, code: str | None = None) -> tuple[tuple[date, Refusal], ...]:
    """`earlier` of a 401: the older stack's *message*, first with a header, then without."""
    refusal = Refusal(message, None, code, status=401, envelope=OLDER_ENVELOPE)
    with_header = replace(refusal, headers=_AUTHENTICATE_BASIC)
    return (_BASIC_UNTIL, with_header), (GATEWAY_SINCE, refusal)


# Recorded in 2022. The spelling and the address are from later copies; the day on which they
# changed is not known.
_MISSING_KEY: Final = (
    "You didn't provide an API key. You need to provide your API key in an "
    "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or "
    "as the password field (with blank username) if you're accessing the API from your "
    "browser and are prompted for a username and password. You can obtain an API key "
    f"from {_ACCOUNT}."
)
missing_key = Refusal(
    _MISSING_KEY,
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
                headers=_AUTHENTICATE_BASIC,
                envelope=OLDER_ENVELOPE,
            ),
        ),
        *_older_key_versions(_MISSING_KEY),
    ),
)
_INCORRECT_KEY: Final = (
    f"Incorrect API key provided: {{key}}. You can find your API key at {_ACCOUNT}."
)
incorrect_key = Refusal(
    _INCORRECT_KEY,
    code="invalid_api_key",
    status=401,
    headers=_AUTHENTICATE,
    earlier=_older_key_versions(_INCORRECT_KEY, "invalid_api_key"),
)
unknown_url = Refusal(
    "Invalid URL ({method} {path})",
    status=404,
)
method_not_allowed = Refusal(
    "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
    status=405,
)
unsupported_content_type = Refusal(
    "Unsupported content type: '{content_type}'. This API method only accepts {listed:or} "
    "requests, but you specified the header 'Content-Type: {content_type}'. Please try again "
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
# Not recorded.
late_request = Refusal(
    "The rest of the request did not come within {seconds} seconds.",
    code="request_timeout",
    status=408,
)

# --- the Models API
model_not_listed = Refusal(
    "The model '{model}' does not exist",
    param="model",
    code="model_not_found",
    status=404,
)

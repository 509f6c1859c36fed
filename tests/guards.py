"""The guards: what keeps others out, secrets in and load within limits, each with the line of code
that does it and the test that fails without that line."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import images_emulator

PACKAGE: Final = Path(images_emulator.__file__).parent


class Guard(NamedTuple):
    """A guard: the *code* in a *module*, with what stands there *without* it, and a *test* that
    must fail then."""

    promise: str
    module: str
    code: str
    without: str
    test: str

    def removed(self) -> str:
        """The source of the module without the guard. Raises ValueError where its code is not
        there just once."""
        source = (PACKAGE / self.module).read_text("utf-8")
        if source.count(self.code) != 1:
            raise ValueError(f"{self.module} has {source.count(self.code)} times: {self.code}")
        return source.replace(self.code, self.without)


GUARDS: Final = (
    Guard(
        "without an admin token, `/_emulator` answers only under names of its own machine (DNS "
        "rebinding)",
        "web/admin/admin_auth.py",
        "elif not self._names.may_be_own(",
        "elif False and not self._names.may_be_own(",
        "test_admin_auth.py::test_a_host_that_another_site_can_have_may_not",
    ),
    Guard(
        "`/_emulator` answers no page of another origin",
        "web/admin/admin_auth.py",
        "foreign = origin is not None and not",
        "foreign = False and not",
        "test_admin_auth.py::test_a_page_of_another_site_may_not_ask",
    ),
    Guard(
        "`/_emulator` answers no cross-site call that hides its origin",
        "web/admin/admin_auth.py",
        'or headers.get("sec-fetch-site") == "cross-site"',
        "",
        "test_admin_auth.py::test_a_browser_that_says_whose_page_it_is_is_believed",
    ),
    Guard(
        "with an admin token, `/_emulator` answers only who sends it",
        "web/admin/admin_auth.py",
        "raise admin_errors.no_token()",
        "pass",
        "test_admin_auth.py::test_without_the_token_nobody_may_ask",
    ),
    Guard(
        "`/metrics` answers those alone who may read `/_emulator`",
        "web/instruments/metrics_endpoint.py",
        "await self._guarded(scope, receive, send)",
        "await self._answer(scope, receive, send)",
        "test_metrics.py::test_the_metrics_need_the_admin_token",
    ),
    Guard(
        "a session begins with the admin token alone",
        "web/admin/session_api.py",
        "if not are_same(",
        "if False and not are_same(",
        "test_admin_auth.py::test_a_wrong_token_begins_no_session",
    ),
    Guard(
        "no page of another origin gets through a preflight of `/_emulator`",
        "web/cors_middleware.py",
        'not is_admin_path(scope["path"]) and is_preflight(scope)',
        "is_preflight(scope)",
        "test_cors.py::test_admin_api_allows_no_origin",
    ),
    Guard(
        "a key of the upstream is used only under names of the proxy's own machine (DNS rebinding)",
        "web/server_names.py",
        "raise emulator_errors.upstream_key_for_foreign_host(host=host[:MAX_SHOWN_CHARS])",
        "pass",
        "test_record_proxy.py::test_a_page_of_another_site_does_not_get_the_key_of_the_upstream",
    ),
    Guard(
        "no page of another site uses a key of the upstream",
        "web/server_names.py",
        "raise emulator_errors.upstream_key_for_foreign_page()",
        "pass",
        "test_record_proxy.py::test_a_page_of_another_site_does_not_get_the_key_of_the_upstream",
    ),
    Guard(
        "the page runs and loads only what this server has (Content-Security-Policy)",
        "web/page_files.py",
        '    "Content-Security-Policy": CONTENT_SECURITY_POLICY,\n',
        "",
        "test_page_files.py::test_page_is_html_under_a_strict_policy",
    ),
    Guard(
        "the page's path leads to its files alone",
        "web/page_files.py",
        'media_type is None or "/" in name or "\\\\" in name or "\\0" in name',
        "media_type is None",
        "test_page_files.py::test_what_is_no_file_of_the_page_is_not_found",
    ),
    Guard(
        "what comes over HTTP names no file of the server",
        "own_answers/picture_files.py",
        "if folder is None:",
        "if False:",
        "test_answer_steps.py::test_the_admin_api_reads_no_path_of_the_server",
    ),
    Guard(
        "with configured keys, no other key is let in",
        "web/authentication.py",
        "(not settings.api_key or key in settings.api_key)",
        "True",
        "test_credentials.py::test_a_call_with_a_wrong_key_uses_up_no_step",
    ),
    Guard(
        "with configured keys, each key has files of its own",
        "state/files.py",
        "return owner in (None, self.owner)",
        "return True",
        "test_files.py::test_keys_that_the_settings_name_have_files_of_their_own",
    ),
    Guard(
        "a hosted picture is sent for a URL with a right signature",
        "state/hosting.py",
        "if not self.is_signed(path, query):",
        "if False:",
        "test_hosting.py::test_a_url_with_a_wrong_signature_is_refused",
    ),
    Guard(
        "a hosted picture is sent while its URL is valid",
        "state/hosting.py",
        'if not parameters.get("st", "") <= _iso_time(now) <= parameters["se"]:',
        "if False:",
        "test_hosting.py::test_a_url_is_valid_from_its_start_to_its_expiry",
    ),
    Guard(
        "no image is fetched from a host that the settings do not name, by a redirect neither",
        "web/image_fetch.py",
        'return parts.scheme in ("http", "https") and is_listed',
        'return parts.scheme in ("http", "https")',
        "test_image_fetch.py::test_failed_fetch_is_refused",
    ),
    Guard(
        "nothing is fetched through the environment's proxies",
        "web/image_fetch.py",
        "trust_env=False",
        "trust_env=True",
        "test_image_fetch.py::test_a_fetch_goes_through_no_proxy",
    ),
    Guard(
        "a fetched body is no longer than an upload may be",
        "web/image_fetch.py",
        "if len(data) > IMAGE_BYTES_LIMIT:",
        "if False:",
        "test_image_fetch.py::test_a_fetched_body_past_the_limit_of_an_upload_is_refused",
    ),
    Guard(
        "the journal shows no key whole",
        "exchange/credentials.py",
        "return mask_key(value)\n    return HIDDEN if value else value",
        "return value\n    return value",
        "test_credentials.py::test_no_header_shows_a_key",
    ),
    Guard(
        "the journal shows no key in a text",
        "exchange/credentials.py",
        "return _KEY_LIKE.sub(lambda match: mask_key(match[0]), text)",
        "return text",
        "test_credentials.py::test_a_key_that_is_not_the_calls_own_is_redacted_in_a_text",
    ),
    Guard(
        "a body is no longer than the setting says",
        "web/request_body.py",
        "return tuple(chunks) if size <= max_bytes else None",
        "return tuple(chunks)",
        "test_bad_input.py::test_the_largest_body_is_as_large_as_the_setting_says",
    ),
    Guard(
        "an image of many pixels is not decoded",
        "imaging/decode_limits.py",
        "return width * height <= self.max_pixels and max(width, height) <= MAX_EDGE",
        "return True",
        "test_bad_input.py::test_a_picture_of_more_than_64_million_pixels_is_not_decoded",
    ),
    Guard(
        "an image of many scans, chunks or segments is not decoded",
        "imaging/decode_limits.py",
        "scans = scans_of(data, self.max_chunks, self.max_scans)",
        "scans = scans_of(data, sys.maxsize, sys.maxsize)",
        "test_decoder.py::test_a_file_of_too_many_parts_is_refused",
    ),
    Guard(
        "an image whose decoding takes much memory is not decoded",
        "imaging/decode_limits.py",
        "bytes_to_decode(file, scans) <= self.decode_bytes",
        "True",
        "test_limits.py::test_a_picture_that_takes_more_memory_than_the_setting_is_refused",
    ),
    Guard(
        "a WebP whose canvas is large is not opened",
        "imaging/decode_limits.py",
        "self.decode_bytes < size[0] * size[1] * WEBP_PIXEL_BYTES",
        "False",
        "test_limits.py::test_a_webp_with_a_large_canvas_is_not_opened",
    ),
    Guard(
        "the images of one call have no more pixels than the setting says",
        "imaging/image_loader.py",
        "max_pixels=min(limits.max_pixels, left)",
        "max_pixels=limits.max_pixels",
        "test_limits.py::test_pixels_of_a_call_are_counted_together",
    ),
    Guard(
        "there are no more connections than the setting says",
        "protocol.py",
        "self._is_excess = True",
        "pass",
        "test_limits.py::test_a_connection_past_the_setting_is_answered_503",
    ),
    Guard(
        "a form has no more parts than the setting says",
        "exchange/form_parser.py",
        "if parser.has_too_many_parts:",
        "if False:",
        "test_limits.py::test_a_form_of_more_parts_than_the_setting_is_refused",
    ),
    Guard(
        "what clients send moves no cursor of the terminal",
        "cli/terminal.py",
        'return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)',
        "return text",
        "test_call_log.py::test_control_characters_of_a_client_are_escaped",
    ),
)

"""The limits that are settings, each with what happens beyond it and the test that goes there."""

from __future__ import annotations

from typing import Final, NamedTuple


class Limit(NamedTuple):
    """A limit: the name of its *setting*, the *end* of a call or an entry beyond it, as the docs
    have it, and a *test* of the edge."""

    setting: str
    end: str
    test: str


NO_FORM: Final = "400 `Could not parse multipart form`"
NO_IMAGE: Final = "400 `Invalid image file or mode for image 1, please check your image file.`"

LIMITS: Final = (
    Limit(
        "max_body",
        "413 `Maximum content size limit exceeded.`",
        "test_bad_input.py::test_the_largest_body_is_as_large_as_the_setting_says",
    ),
    Limit(
        "max_head",
        "431 `The request line and the headers must not be larger than 262144 bytes.`",
        "test_limits.py::test_the_largest_head_is_as_large_as_the_setting_says",
    ),
    Limit(
        "max_parts",
        NO_FORM,
        "test_limits.py::test_a_form_of_more_parts_than_the_setting_is_refused",
    ),
    Limit(
        "max_part_head",
        NO_FORM,
        "test_limits.py::test_headers_of_a_part_are_as_large_as_the_setting_says",
    ),
    Limit(
        "max_pixels",
        NO_IMAGE,
        "test_limits.py::test_a_picture_past_a_limit_is_refused_as_no_image",
    ),
    Limit(
        "max_call_pixels", NO_IMAGE, "test_limits.py::test_pixels_of_a_call_are_counted_together"
    ),
    Limit(
        "decode_bytes",
        NO_IMAGE,
        "test_limits.py::test_decoding_takes_no_more_memory_than_the_setting",
    ),
    Limit(
        "max_scans",
        NO_IMAGE,
        "test_limits.py::test_a_picture_past_a_limit_is_refused_as_no_image",
    ),
    Limit(
        "max_chunks",
        NO_IMAGE,
        "test_limits.py::test_a_picture_past_a_limit_is_refused_as_no_image",
    ),
    Limit(
        "max_connections",
        "503 `too_many_connections`",
        "test_limits.py::test_a_connection_past_the_setting_is_answered_503",
    ),
    Limit(
        "idle_timeout",
        "408 `request_timeout`, or the connection is closed",
        "test_limits.py::"
        "test_a_connection_is_closed_when_it_has_been_idle_for_as_long_as_the_setting_says",
    ),
    Limit(
        "render_processes",
        "calls wait for those before them",
        "test_render_process.py::test_processes_join_while_jobs_queue",
    ),
    Limit(
        "cache",
        "the picture that was asked for longest ago is drawn again",
        "test_lru_cache.py::test_the_budget_is_never_exceeded",
    ),
    Limit(
        "journal_entries",
        "the oldest call is dropped",
        "test_journal.py::test_the_oldest_entries_go",
    ),
    Limit(
        "journal_bytes",
        "the body of the oldest call is dropped, then the call",
        "test_journal.py::test_a_hundred_thousand_calls_stay_inside_the_limit",
    ),
    Limit(
        "hosted_bytes",
        "the oldest URL answers 404",
        "test_hosting.py::test_past_the_budget_the_oldest_hosted_pictures_go",
    ),
    Limit(
        "files_bytes",
        "the oldest file is dropped",
        "test_files.py::test_oldest_files_are_evicted_past_the_budget",
    ),
    Limit(
        "rate_limit_keys",
        "the key that was last granted images longest ago has its limit anew",
        "test_limits.py::test_keys_of_rate_limits_are_as_many_as_the_setting_says",
    ),
    Limit(
        "max_namespaces",
        "503 `too_many_namespaces`",
        "test_namespaces.py::test_a_further_namespace_is_refused_where_all_are_in_use",
    ),
    Limit(
        "namespace_idle",
        "the namespace is forgotten",
        "test_namespaces.py::test_idle_namespaces_are_forgotten",
    ),
)

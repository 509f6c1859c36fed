"""The table of promises."""

from __future__ import annotations

from typing import Final

from reliability.documented_answers import documented_answers
from reliability.failure_points import failure_points
from reliability.failures import (
    few_descriptors,
    injected_failures,
    jumping_clock,
    little_memory,
    odd_surroundings,
)
from reliability.fuzzed_readers import fuzzed_readers
from reliability.hostile_calls import hostile_calls
from reliability.killed_workers import killed_workers
from reliability.leaving_clients import leaving_clients, slow_readers
from reliability.limits import idle_connections, large_uploads
from reliability.load import many_streams, many_uploads, mixed_load
from reliability.promise import ASYNCIO, UVLOOP, Promise
from reliability.stopping import failing_render_processes, killed_and_started, many_servers

BOTH: Final = (UVLOOP, ASYNCIO)

PROMISES: Final = (
    Promise(
        name="load",
        text="many clients with calls of all kinds get right answers, and the server gives back "
        "what it held",
        scenario=mixed_load,
        loops=BOTH,
    ),
    Promise(
        name="streams",
        text="streams with latency, all open at once, end whole and with the right picture",
        scenario=many_streams,
        loops=BOTH,
    ),
    Promise(
        name="uploads",
        text="small files are kept, read back as they were, and deleted",
        scenario=many_uploads,
        loops=BOTH,
    ),
    Promise(
        name="leaving",
        text="clients that leave in the middle of a stream or of an upload, by FIN and by RST, "
        "leave nothing behind",
        scenario=leaving_clients,
        loops=BOTH,
    ),
    Promise(
        name="slow",
        text="clients that do not read their streams hold up nobody, and get all of them",
        scenario=slow_readers,
        loops=BOTH,
    ),
    Promise(
        name="pictures",
        text="pictures of many pixels take no more memory than the settings say, one by one and at "
        "once",
        scenario=large_uploads,
    ),
    Promise(
        name="idle",
        text="connections on which nothing comes, or not all of a call, are closed in time, and "
        "there are no more than the setting says",
        scenario=idle_connections,
        loops=BOTH,
    ),
    Promise(
        name="hostile",
        text="hostile calls get answers in their envelope: no 5xx, no traceback, no hang",
        scenario=hostile_calls,
    ),
    Promise(
        name="raw",
        text="bytes that HTTP does not allow, seldom allows or leaves open get an answer in the "
        "API's form, or a closed connection, and no other call's answer",
        tests=(
            "test_raw_http.py::"
            "test_raw_bytes_are_answered_in_the_api_s_form_or_the_connection_is_closed",
            "test_raw_http.py::test_the_answer_to_a_call_is_not_that_to_junk_behind_it",
        ),
    ),
    Promise(
        name="broken",
        text="a broken picture gets the same answer each time, as any image of a call",
        tests=(
            "test_broken_pictures.py::test_a_broken_picture_gets_the_same_answer_each_time",
            "test_fuzzing.py::test_target_holds_for_broken_pictures",
        ),
    ),
    Promise(
        name="fuzzing",
        text="mutated forms and pictures are read the same each time, or refused",
        scenario=fuzzed_readers,
        package="atheris",
    ),
    Promise(
        name="table",
        text="calls that the JSON Schemas of the models take get their pictures, and calls with "
        "any values an answer in its envelope",
        tests=(
            "test_table_calls.py::"
            "test_call_that_the_json_schema_of_its_model_takes_gets_its_pictures",
            "test_table_calls.py::test_any_call_gets_a_documented_answer_in_its_envelope",
        ),
    ),
    Promise(
        name="documents",
        text="every answer that calls by the OpenAPI documents get, right and wrong ones, is "
        "documented: its status, its media type and its form",
        scenario=documented_answers,
        package="schemathesis",
    ),
    Promise(
        name="stop",
        text="SIGTERM and Ctrl-C, once and twice, stop the server in order, whatever is open",
        tests=(
            "test_cli.py::test_signal_stops_an_idle_server",
            "test_cli.py::test_signal_stops_a_rendering_server",
            "test_cli.py::test_signal_cuts_an_open_stream",
            "test_cli.py::test_signal_closes_the_connection_of_a_delayed_call",
            "test_cli.py::test_signal_does_not_wait_for_a_hanging_fetch",
            "test_cli.py::test_shutdown_lets_a_short_call_finish",
        ),
    ),
    Promise(
        name="kill",
        text="a server that is killed with open calls leaves no process, and starts again on its "
        "port at once",
        scenario=killed_and_started,
    ),
    Promise(
        name="port",
        text="a port that is taken is told in one line, or by an exception",
        tests=(
            "test_cli.py::test_port_in_use_is_an_error_of_one_line",
            "test_server.py::test_a_taken_port_is_refused_at_once",
        ),
    ),
    Promise(
        name="processes",
        text="a render process that is killed or stopped (SIGSTOP) takes no picture with it",
        scenario=failing_render_processes,
    ),
    Promise(
        name="servers",
        text="servers that begin and end in one process leave nothing in it",
        scenario=many_servers,
    ),
    Promise(
        name="failures",
        text="memory that is not there at a decode or a drawing, and a journal or a socket that "
        "fails, end in an answer or a closed connection, and the next call is right",
        scenario=injected_failures,
    ),
    Promise(
        name="places",
        text="whatever function of the emulator fails in a call, for want of memory, a disk or a "
        "connection: the call ends in an answer in the API's form or a closed connection, and the "
        "next call is right",
        scenario=failure_points,
        loops=BOTH,
    ),
    Promise(
        name="memory",
        text="a server that gets no more memory answers 500 to calls that need some, and rightly "
        "again once there is more",
        scenario=little_memory,
    ),
    Promise(
        name="clock",
        text="a clock of the system that jumps, far ahead or far back, harms no call",
        scenario=jumping_clock,
    ),
    Promise(
        name="descriptors",
        text="more clients than there are descriptors for hold the server up only while they stay",
        # Not on asyncio, which writes a traceback for each connection that it cannot accept.
        scenario=few_descriptors,
    ),
    Promise(
        name="surroundings",
        text="locale, time zone, home and encoding change no picture",
        scenario=odd_surroundings,
    ),
    Promise(
        name="output",
        text="standard streams that are closed, full or of another encoding end no server, and no "
        "connection gets what is written there",
        tests=(
            "test_cli.py::test_serve_survives_a_closed_stdout",
            "test_standard_streams.py::test_server_answers_without_its_standard_streams",
            "test_standard_streams.py::test_command_says_in_one_line_that_its_output_is_full",
            "test_standard_streams.py::test_command_prints_nothing_to_a_closed_output",
            "test_standard_streams.py::test_characters_that_the_output_does_not_have_are_escapes",
            "test_standard_streams.py::"
            "test_lines_that_a_full_disk_does_not_take_are_counted_once_it_does",
        ),
    ),
    Promise(
        name="workers",
        text="a worker that is killed takes no answered call with it, and is replaced",
        scenario=killed_workers,
    ),
)

"""What HTTP does not allow, seldom allows or leaves open: an answer in the API's form, or a closed
connection, and nothing in the log."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress

import pytest

from images_emulator import Server
from reliability.hostile_calls import check_answer
from reliability.raw_calls import all_parsed
from reliability.raw_cases import CASES, CHUNKED, COMMON, GET, KEPT, POST, TYPE, RawCase
from tests.waiting import until


def received(connection: socket.socket) -> bytes:
    """All bytes until the server closes."""
    data = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_raw_bytes_are_answered_in_the_api_s_form_or_the_connection_is_closed(
    server: Server, case: RawCase, caplog: pytest.LogCaptureFixture
) -> None:
    address = (server.settings.host, server.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(case.data)
        if not case.leaves:
            answers = all_parsed(received(connection))
            assert tuple(answer.status for answer in answers) == tuple(case.statuses)
            for answer in answers:
                check_answer(answer)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(GET)
        assert b" 200 OK\r\n" in received(connection).partition(b"date:")[0]
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not records, "\n".join(record.getMessage() for record in records)


def test_the_answer_to_a_call_is_not_that_to_junk_behind_it(server: Server) -> None:
    address = (server.settings.host, server.port)
    with socket.create_connection(address, timeout=30) as connection:
        # Behind an answer that has left, junk has one of its own.
        connection.sendall(KEPT)
        first = connection.recv(65536)
        assert all_parsed(first)[0].status == 200
        connection.sendall(b"\x00 junk\r\n\r\n" + GET)
        assert [answer.status for answer in all_parsed(received(connection))] == [400]


def test_a_head_that_comes_with_the_end_of_a_body_is_not_too_large(server: Server) -> None:
    body = b"x" * 20_000
    post = b"POST /v1/nothing HTTP/1.1\r\n" + COMMON + b"Content-Length: %d\r\n\r\n" % len(body)
    large = GET.replace(b"\r\n\r\n", b"\r\nx-long: " + b"x" * 280_000 + b"\r\n\r\n")
    with socket.create_connection((server.settings.host, server.port), timeout=30) as connection:
        connection.sendall(post)
        first = connection.recv(65536)
        assert all_parsed(first)[0].status == 404
        with suppress(OSError):
            connection.sendall(body + large)
        assert [answer.status for answer in all_parsed(received(connection))] == [431]


@pytest.mark.parametrize("case", ["GET", "POST"])
def test_a_call_whose_body_is_not_http_is_refused_in_the_journal(server: Server, case: str) -> None:
    data = {
        "GET": GET.replace(b"\r\n\r\n", b"\r\n" + CHUNKED + b"\r\nZZ\r\n"),
        "POST": POST + COMMON + TYPE + CHUNKED + b"\r\nx\r\n",
    }
    with socket.create_connection((server.settings.host, server.port), timeout=30) as connection:
        connection.sendall(data[case])
        assert [answer.status for answer in all_parsed(received(connection))] == [400]
    until(lambda: bool(server.requests) and server.requests[0].has_ended)
    (call,) = server.requests
    assert (call.status, call.outcome) == (400, "refused")


@pytest.mark.parametrize("fault", ["timeout", "stall", "connection_reset"])
def test_call_of_a_client_that_left_ends_where_more_requests_wait_behind_it(
    server: Server, fault: str
) -> None:
    http = server._http
    body = b'{"model": "gpt-image-2", "prompt": "x", "stream": true}'
    head = POST + COMMON + TYPE + b"Content-Length: %d\r\n" % len(body)
    waiting = head + b"X-Emulator-Fault: %s\r\n\r\n" % fault.encode() + body
    tasks, connections = http.server_state.tasks.copy(), http.server_state.connections.copy()
    with socket.create_connection((server.settings.host, server.port), timeout=30) as connection:
        connection.sendall(waiting + KEPT + GET)
        until(lambda: bool(server.requests) and server.requests[0].fault is not None)
    until(lambda: http.server_state.tasks <= tasks)
    (call,) = server.requests
    assert call.has_ended
    assert http.server_state.connections <= connections


def test_client_that_sends_on_after_a_refusal_gets_the_answer(server: Server) -> None:
    address = (server.settings.host, server.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"G" * 20_000_000)  # more than fits between the two
        assert [answer.status for answer in all_parsed(received(connection))] == [400]


def test_names_of_raw_cases_are_distinct() -> None:
    assert len({case.name for case in CASES}) == len(CASES)

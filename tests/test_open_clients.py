"""Each HTTP client that a test makes is closed by a `with`. The garbage collector finds the socket
of a client that is left open, at some time, and fails the test that runs then."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import run_pytest

TESTS = sorted(Path(__file__).parent.glob("*.py"))

CLIENTS = frozenset(
    ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI", "Client", "AsyncClient")
)

CLOSERS = frozenset(("closing", "aclosing", "enter_context", "enter_async_context"))


def name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def has_no_socket(call: ast.Call) -> bool:
    """Whether the client has the connections of another one, or a transport without any."""
    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    return "http_client" in arguments or "MockTransport(" in arguments.get("transport", "")


def open_clients(source: str) -> Iterator[str]:
    """The calls that make a client and do not hand it to a `with` or to the caller of a function,
    whose own calls make a client then."""
    tree = ast.parse(source)
    outer = {inner: node for node in ast.walk(tree) for inner in ast.iter_child_nodes(node)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]

    def function_around(node: ast.AST) -> str:
        while not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            node = outer[node]
        return getattr(node, "name", "")

    makers, before = CLIENTS, frozenset[str]()
    while makers != before:
        before = makers
        made = [call for call in calls if name_of(call.func) in makers and not has_no_socket(call)]
        makers |= {function_around(call) for call in made if isinstance(outer[call], ast.Return)}
    for call in made:
        match outer[call]:
            case ast.withitem() | ast.Return():
                pass
            case ast.Call(func=function) if name_of(function) in CLOSERS:
                pass
            case ast.Assign(targets=[ast.Attribute()]):
                pass  # an object of the test has it, and closes it
            case _:
                yield f"line {call.lineno}: {ast.unparse(call)}"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_clients_are_closed(path: Path) -> None:
    assert list(open_clients(path.read_text())) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("client = OpenAI()", 1),
        ("httpx2.Client().get(url)", 1),
        ("one, other = (OpenAI(api_key=key) for key in keys)", 1),
        ("def sdk():\n    return OpenAI()\n\nclient = sdk()", 1),
        ("def sdk():\n    return OpenAI()\n\nwith sdk() as client: ...", 0),
        ("with Server() as server, OpenAI() as client: ...", 0),
        ("stack.enter_context(OpenAI())", 0),
        ("client = AsyncOpenAI(http_client=http)", 0),
        ("http = httpx2.Client(transport=httpx2.MockTransport(answer))", 0),
    ],
)
def test_open_clients_are_found(source: str, count: int) -> None:
    assert len(list(open_clients(source))) == count


@pytest.mark.slow
def test_report_names_the_test_that_left_a_socket_open(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import gc, socket

        def test_leaves():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                connection = socket.create_connection(listener.getsockname())
                cycle = [connection]
                cycle.append(cycle)

        def test_fails():
            gc.collect()
        """
    )
    done = run_pytest(["-W", "error", "-p", "tests.socket_origins"], pytester.path)
    assert "1 failed, 1 passed" in done.stdout
    assert re.search(r"The socket with fd \d+ is of \S+::test_leaves \(call\)", done.stdout)
    assert "connection = socket.create_connection" in done.stdout

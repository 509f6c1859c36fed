"""Reads YAML as text: values are strings, bytes, lists, mappings and None.

Numbers, dates and truth values stay as written, so that nothing is lost. Cassettes come from
several languages, whose YAML libraries disagree on what is a date.
"""

from __future__ import annotations

import base64
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import yaml

TYPED_KEYS: Final = frozenset({"parsed_body"})
"""Keys whose values have types, by the rules of YAML 1.1."""

_NULL: Final = "tag:yaml.org,2002:null"
_BINARY: Final = frozenset({"tag:yaml.org,2002:binary", "!binary"})


def decoded_base64(text: str | bytes) -> bytes:
    """The bytes of base64 that may have line breaks and blanks. Raises ValueError for any other
    character, and for incomplete base64."""
    plain = "".join(text.split()) if isinstance(text, str) else b"".join(text.split())
    return base64.b64decode(plain, validate=True)


class MissingLibraryError(Exception):
    """PyYAML is not installed. The message says how to install it."""


def read_yaml(text: str, name: str) -> Any:
    """The value of the one document in *text*. *name* is the name of its file.

    Raises ValueError with the file's name, the line and a sentence, and MissingLibraryError.
    """
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        sentence = "cassettes in YAML need PyYAML: pip install 'openai-images-emulator[import]'"
        raise MissingLibraryError(sentence) from error
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(text, Loader=loader)
        return None if node is None else _Values(name, yaml).value_of(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{name}{line}: it is no YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        at = text.count("\n", 0, error.position) + 1
        raise ValueError(f"{name}:{at}: it is no YAML: {error.reason}") from error
    except RecursionError as error:
        raise ValueError(f"{name}: it is nested too deeply") from error


class _Values:
    """Makes values from the nodes of one document. An alias has the value of its anchor."""

    def __init__(self, name: str, library: Any) -> None:
        self._name = name
        self._yaml = library
        self._made: dict[int, Any] = {}
        self._open: set[int] = set()

    def value_of(self, node: yaml.Node) -> Any:
        """Return the value of *node*. Raises ValueError for a node without a value."""
        key = id(node)
        if key not in self._made:
            if key in self._open:
                raise self._error(node, "it contains itself")
            self._open.add(key)
            self._made[key] = self._value(node)
            self._open.discard(key)
        return self._made[key]

    def _value(self, node: Any) -> Any:
        if isinstance(node, self._yaml.MappingNode):
            return dict(self._pair(key, value) for key, value in node.value)
        if isinstance(node, self._yaml.SequenceNode):
            return [self.value_of(each) for each in node.value]
        if node.tag == _NULL:
            return None
        if node.tag not in _BINARY:
            return node.value
        try:
            return decoded_base64(node.value)
        except ValueError as error:
            raise self._error(node, f"it is no base64: {error}") from error

    def _pair(self, key_node: Any, value_node: Any) -> tuple[Any, Any]:
        key = self.value_of(key_node)
        if isinstance(key, bytes):
            key = key.decode("utf-8", "surrogateescape")
        if isinstance(key, list) and len(key) == 1:  # a string of a class of Python's own
            key = key[0]
        if not isinstance(key, Hashable):
            raise self._error(key_node, "a key must be text")
        if key in TYPED_KEYS:
            return key, self._convert(value_node)
        return key, self.value_of(value_node)

    def _convert(self, node: Any) -> Any:
        try:
            return self._yaml.constructor.SafeConstructor().construct_document(node)
        except (self._yaml.constructor.ConstructorError, ValueError) as error:
            raise self._error(node, f"it has no value: {error}") from error

    def _error(self, node: Any, sentence: str) -> ValueError:
        return ValueError(f"{self._name}:{node.start_mark.line + 1}: {sentence}")

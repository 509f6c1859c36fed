"""A route: the template of a path, and the endpoint that answers its calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from images_emulator.web.endpoints import Endpoint

_PARAMETER: Final = re.compile(r"\{(\w+)(:path)?\}")


class Route:
    """A *path* and its *endpoint*. The endpoint takes every method, and refuses some after it has
    checked the key.

    In *path*, `{name}` stands for one segment, and `{name:path}` for any text, also an empty one.
    Starlette's own routes are not used. They compile their expressions when they are made, which
    took a tenth of the server's start.
    """

    def __init__(self, path: str, endpoint: Endpoint) -> None:
        self.path = path
        self.endpoint = endpoint
        self._start, self.has_parameters, _ = path.partition("{")

    def parameters_in(self, path: str) -> Mapping[str, str] | None:
        """The parameters in a *path* of this route, by name; None where it is another path."""
        if not self.has_parameters:
            return {} if path == self.path else None
        match = path.startswith(self._start) and self._expression.fullmatch(path)
        return match.groupdict() if match else None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts = _PARAMETER.split(self.path)
        literals, names, converters = parts[::3], parts[1::3], parts[2::3]
        expression = re.escape(literals[0])
        for name, converter, literal in zip(names, converters, literals[1:], strict=True):
            text = ".*" if converter else "[^/]+"
            expression += f"(?P<{name}>{text}){re.escape(literal)}"
        return re.compile(expression, re.DOTALL)

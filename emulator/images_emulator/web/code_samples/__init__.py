"""Code that makes a call of the journal again: as a shell command, in Python, in JavaScript, and as
a test.

A call to an image operation that OpenAI's SDKs can make is made with them. Any other, such as one
whose body is no JSON, is made by plain HTTP with the same bytes. Images come from the journal, by
their links. A key is never in the code: it is read from `OPENAI_API_KEY`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from images_emulator.web.code_samples.curl_code import curl_code
from images_emulator.web.code_samples.javascript_code import javascript_code
from images_emulator.web.code_samples.pytest_code import pytest_code
from images_emulator.web.code_samples.python_code import python_code
from images_emulator.web.code_samples.sdk_call import SampleSource

LANGUAGES: Final[Mapping[str, Callable[[SampleSource], str]]] = {
    "curl": curl_code,
    "python": python_code,
    "javascript": javascript_code,
    "pytest": pytest_code,
}
"""The functions that write the code, by the value of `language` in the admin API."""

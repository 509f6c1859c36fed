"""What an answer comes to, in a word or two."""

from __future__ import annotations

import httpx2


def verdict(answer: httpx2.Response) -> str:
    """`ok`, the code and the param of a refusal, or the status of an empty one."""
    if answer.status_code == 200:
        return "ok"
    if not answer.content:
        return str(answer.status_code)
    error = answer.json()["error"]
    return f"{error['code']} {error['param']}"

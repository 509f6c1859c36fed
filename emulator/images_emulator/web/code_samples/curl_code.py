"""A call as a command for a shell, with curl."""

from __future__ import annotations

import shlex

from images_emulator.web.code_samples.sdk_call import SampleSource


def curl_code(source: SampleSource) -> str:
    """A command for a shell. A body that is no short text comes from the journal. The body of a
    HEAD is left out, because curl refuses to send it."""
    exchange = source.exchange
    method = ["--head"] if exchange.method == "HEAD" else ["-X", exchange.method]
    # curl resolves `/../` unless it is told not to.
    as_is = ["--path-as-is"] if "/." in source.target else []
    words = ["curl", "-g", *as_is, *method, f"{source.base}{source.target}"]
    # Without a value curl leaves the header out; otherwise it would say that the body is a form.
    for name, value in ({"content-type": ""} | dict(source.headers)).items():
        words += ["-H", f"{name}: {value}".rstrip()]
    line = shlex.join(words)
    if source.key_header:
        name, scheme = source.key_header
        line += f' -H "{name}: {scheme}${{OPENAI_API_KEY:-sk-test}}"'
    if not exchange.body or exchange.method == "HEAD":
        return f"{line}\n"
    if source.text is not None:
        return f"{line} --data-raw {shlex.quote(source.text)}\n"
    token = ' -H "authorization: Bearer $IMAGES_EMULATOR_ADMIN_TOKEN"' if source.needs_token else ""
    body_url = shlex.quote(f"{source.journal_url}/body")
    return f"curl -s{token} {body_url} | {line} --data-binary @-\n"

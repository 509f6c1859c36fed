"""A call as a command for a shell, with curl."""

from __future__ import annotations

import shlex

from images_emulator.web.code_samples.sdk_call import SampleSource


def curl(call: SampleSource) -> str:
    """A command for a shell. A body that is no short text comes from the journal."""
    exchange = call.exchange
    method = ["--head"] if exchange.method == "HEAD" else ["-X", exchange.method]
    words = ["curl", "-g", *method, f"{call.base}{call.target}"]
    # Without a value the header is left out; curl would say that this is a form.
    for name, value in ({"content-type": ""} | dict(call.headers)).items():
        words += ["-H", f"{name}: {value}".rstrip()]
    line = shlex.join(words)
    if call.key_header:
        name, scheme = call.key_header
        line += f' -H "{name}: {scheme}${{OPENAI_API_KEY:-sk-test}}"'
    if not exchange.body:
        return f"{line}\n"
    if call.text is not None:
        return f"{line} --data-raw {shlex.quote(call.text)}\n"
    token = ' -H "authorization: Bearer $IMAGES_EMULATOR_ADMIN_TOKEN"' if call.needs_token else ""
    source = shlex.quote(f"{call.journal_url}/body")
    return f"curl -s{token} {source} | {line} --data-binary @-\n"

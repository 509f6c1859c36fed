"""The clients that are tested, and the operations that each of them is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent
PROGRAMS: Final = FOLDER / "programs"
PINS: Final = FOLDER / "pins"

HOME: Final = "http://127.0.0.1:8080"
"""The server's address in the programs; that of the test's server takes its place."""

OPERATIONS: Final[Mapping[str, str]] = {
    "generate": "A lighthouse",
    "edit": "By night",
    "mask": "A red door",
    "inputs": "Both on one shelf",
    "stream": "A ship",
    "error": "A mistake",
    "retry": "A rate limit",
}
"""What a program does, and the prompt of each: its calls are found by it."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A row of the table: a program of `programs/` with its packages."""

    name: str
    """By which it is run, such as `openai-python-3-async`."""
    title: str
    """What stands in front of the version in the table."""
    program: str
    arguments: tuple[str, ...] = ()
    pins: str | None = None
    """The file of `pins/` with its packages, without its suffix. Without it the program is for an
    interpreter of the machine."""
    versions: tuple[str, ...] = ()
    """The packages whose versions the table tells."""
    model: str = "gpt-image-2"
    """The model that the program names."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its environment, beside the SDKs'."""
    needs: tuple[str, ...] = ()
    """Commands of the machine, one of which the program runs. Without any the client is skipped."""
    heavy: bool = False
    """Whether CI leaves it to the weekly run."""


NO_TELEMETRY: Final = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}


def _openai_python(major: int) -> tuple[Client, ...]:
    return tuple(
        Client(
            name=f"openai-python-{major}{suffix}",
            title=f"openai-python, `{cls}`",
            program="openai_python_async.py" if cls == "AsyncOpenAI" else "openai_python.py",
            arguments=(cls,),
            pins=f"openai-python-{major}",
            versions=("openai",),
        )
        for cls, suffix in {"OpenAI": "", "AsyncOpenAI": "-async", "AzureOpenAI": "-azure"}.items()
    )


def _openai_node(major: int) -> tuple[Client, ...]:
    return tuple(
        Client(
            name=f"openai-node-{major}{suffix}",
            title=f"openai-node, `{cls}`",
            program="openai_node.mjs",
            arguments=(cls,),
            pins=f"openai-node-{major}",
            versions=("openai",),
        )
        for cls, suffix in {"OpenAI": "", "AzureOpenAI": "-azure"}.items()
    )


def _ai_sdk(pins: str, major: str) -> tuple[Client, ...]:
    return tuple(
        Client(
            name=f"{pins}-{provider}",
            title=f"AI SDK, `@ai-sdk/{provider}`",
            program="ai_sdk.mjs",
            arguments=(provider, major),
            pins=pins,
            versions=("ai",),
        )
        for provider in ("openai", "azure")
    )


def _by_model(name: str, title: str, program: str, package: str) -> tuple[Client, ...]:
    """A client that was made for DALL·E, with that and with a model of today."""
    return tuple(
        Client(
            name=f"{name}{suffix}",
            title=f"{title} with {model}",
            program=program,
            arguments=(model,),
            model=model,
            pins=name,
            versions=(package,),
            variables=NO_TELEMETRY,
            heavy=name == "crewai",
        )
        for model, suffix in {"dall-e-3": "", "gpt-image-2": "-gpt"}.items()
    )


CLIENTS: Final = {
    client.name: client
    for client in (
        Client(name="curl", title="curl", program="curl.sh"),
        *_openai_python(1),
        *_openai_python(2),
        *_openai_python(3),
        *_openai_node(6),
        *_openai_node(7),
        Client(
            name="openai-node-page",
            title="openai-node in a page of Chromium, `OpenAI`",
            program="openai_node_page.mjs",
            pins="openai-node-page",
            versions=("openai",),
            needs=("chromium", "google-chrome"),
        ),
        *_ai_sdk("ai-sdk-5", "5"),
        *_ai_sdk("ai-sdk", "newest"),
        *_by_model(
            "langchain",
            "LangChain, `DallEAPIWrapper`",
            "langchain_wrapper.py",
            "langchain-community",
        ),
        *_by_model(
            "langchain-js",
            "LangChain in JavaScript, `DallEAPIWrapper`",
            "langchain_js.mjs",
            "@langchain/openai",
        ),
        Client(
            name="litellm",
            title="LiteLLM",
            program="litellm_images.py",
            pins="litellm",
            versions=("litellm",),
            variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ),
        Client(
            name="litellm-proxy",
            title="LiteLLM's proxy",
            program="litellm_proxy.py",
            pins="litellm-proxy",
            heavy=True,
            versions=("litellm",),
            variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ),
        Client(
            name="llama-index",
            title="LlamaIndex, `OpenAIImageGenerationToolSpec`",
            program="llama_index_tool.py",
            pins="llama-index",
            model="dall-e-3",
            versions=("llama-index-tools-openai-image-generation",),
        ),
        Client(
            name="haystack",
            title="Haystack, `OpenAIImageGenerator`",
            program="haystack_ai.py",
            pins="haystack",
            versions=("haystack-ai",),
            variables={"HAYSTACK_TELEMETRY_ENABLED": "False"},
        ),
        *_by_model("crewai", "CrewAI, `DallETool`", "crewai_dalle.py", "crewai-tools"),
        Client(
            name="pydantic-ai",
            title="Pydantic AI, `ImageGenerator`",
            program="pydantic_ai_images.py",
            pins="pydantic-ai",
            versions=("pydantic-ai-slim",),
        ),
        Client(
            name="semantic-kernel",
            title="Semantic Kernel, `OpenAITextToImage`",
            program="semantic_kernel_images.py",
            pins="semantic-kernel",
            heavy=True,
            versions=("semantic-kernel",),
        ),
        Client(
            name="llm",
            title="llm with `llm-openai-images`",
            program="llm.sh",
            pins="llm",
            model="gpt-image-1.5",
            versions=("llm", "llm-openai-images"),
        ),
        Client(
            name="promptfoo",
            title="promptfoo, `openai:image`",
            program="promptfoo.mjs",
            pins="promptfoo",
            versions=("promptfoo",),
            variables={"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"},
            heavy=True,
        ),
        Client(name="java", title="Java, `java.net.http.HttpClient`", program="JdkClient.java"),
        Client(name="php", title="PHP, `curl`", program="curl.php"),
        Client(name="go", title="Go, `net/http`", program="http.go"),
    )
}


class Snippet(NamedTuple):
    """Lines of a program that the docs show."""

    title: str
    language: str
    text: str


LANGUAGES: Final = {
    ".py": "py",
    ".mjs": "js",
    ".sh": "bash",
    ".java": "java",
    ".php": "php",
    ".go": "go",
}
"""The languages of code blocks, by the suffix of a program."""


def _imports(source: str, text: str) -> str:
    """The imports of *source* that *text* needs, with a blank line behind them."""
    code = re.sub(r"""(["'`]).*?\1""", "", text)
    lines = []
    for start, names in re.findall(r"^((?:from \S+ )?import )([^\n]+)", source, re.MULTILINE):
        own = re.findall(r"\w+", re.sub(r"""\bfrom\b|["'].*""", "", names))
        used = [each for each in own if re.search(rf"\b{each}\b", code)]
        if used:  # Python's begin with `from`
            lines.append(start + (", ".join(used) if start.startswith("from") else names))
    return "\n".join([*lines, "", ""]) if lines else ""


def snippets(program: str) -> Iterator[Snippet]:
    """Those of a *program*: the lines between the comments `snippet: TITLE` and `end`, behind the
    imports that they need. After `snippet LANGUAGE: TITLE` they are a string of that language."""
    source = (PROGRAMS / program).read_text()
    found = re.finditer(
        r"^ *(?:#|//) snippet ?(\w*): ([^\n]*)\n(.*?)^ *(?:#|//) end$",
        source,
        re.MULTILINE | re.DOTALL,
    )
    for each in found:
        language, title, text = each.groups()
        if language:
            text = text.split('"""')[1].lstrip("\n")
        text = dedent(text).rstrip() + "\n"
        if not language:
            text = _imports(source, text) + text
        yield Snippet(title, language or LANGUAGES[Path(program).suffix], text)

"""Haystack's component for images."""

from haystack.components.generators import OpenAIImageGenerator
from haystack.utils import Secret
from openai import APIStatusError
from report import run

# snippet: Haystack
generator = OpenAIImageGenerator(
    api_base_url="http://127.0.0.1:8080/v1", api_key=Secret.from_token("sk-test")
)
# end

NO_EDITS = "`OpenAIImageGenerator` takes a text alone"


def error():
    try:
        generator.run("A mistake", size="1000x1000")
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)


run(
    generate=lambda: generator.run("A lighthouse")["images"],
    edit=NO_EDITS,
    mask=NO_EDITS,
    inputs=NO_EDITS,
    stream="`run` returns the first picture of a whole answer",
    error=error,
    retry=lambda: generator.run("A rate limit")["images"],
)

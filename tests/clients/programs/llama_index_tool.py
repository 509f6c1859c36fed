"""The tool of LlamaIndex for images, which finds the server by OPENAI_BASE_URL alone."""

# snippet: LlamaIndex
import os

os.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:8080/v1"

from llama_index.tools.openai.image_generation.base import OpenAIImageGenerationToolSpec

tool = OpenAIImageGenerationToolSpec(api_key="sk-test")
# end

from openai import APIStatusError
from report import download, run

NO_EDITS = "`image_generation` takes a text alone"


def generate(prompt):
    return [download(tool.image_generation(prompt))]


def error():
    try:
        tool.image_generation("A mistake", num_images=2)
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)


run(
    generate=lambda: generate("A lighthouse"),
    edit=NO_EDITS,
    mask=NO_EDITS,
    inputs=NO_EDITS,
    stream="`image_generation` returns the URL of a whole answer",
    error=error,
    retry=lambda: generate("A rate limit"),
)

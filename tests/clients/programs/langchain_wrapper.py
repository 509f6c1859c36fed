"""LangChain's wrapper for images, with the model of its argument."""

import sys

from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper
from openai import APIStatusError
from report import download, run

model = sys.argv[1]

# snippet: LangChain
wrapper = DallEAPIWrapper(base_url="http://127.0.0.1:8080/v1", api_key="sk-test", model=model)
# end

NO_EDITS = (
    "`DallEAPIWrapper` makes pictures of a text alone; the `image_generation` tool of"
    " `langchain-openai` is one of the Responses API"
)


def generate(prompt):
    return [download(url) for url in wrapper.run(prompt).split("\n")]


def error():
    wrapper.size = "1000x1000"
    try:
        wrapper.run("A mistake")
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)
    finally:
        wrapper.size = "1024x1024"


run(
    generate=lambda: generate("A lighthouse"),
    edit=NO_EDITS,
    mask=NO_EDITS,
    inputs=NO_EDITS,
    stream="`run` returns the URLs of a whole answer",
    error=error,
    retry=lambda: generate("A rate limit"),
)

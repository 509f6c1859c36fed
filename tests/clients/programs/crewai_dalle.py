"""CrewAI's tool for images, which finds the server by OPENAI_BASE_URL alone."""

import json
import sys

model = sys.argv[1]

# snippet: CrewAI
import os

os.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:8080/v1"
os.environ["OPENAI_API_KEY"] = "sk-test"

from crewai_tools import DallETool

tool = DallETool(model=model)
# end

from openai import APIStatusError
from report import download, run

NO_EDITS = "`DallETool` takes a text alone"


def generate(prompt):
    return [download(json.loads(tool.run(image_description=prompt))["image_url"])]


def error():
    try:
        DallETool(model=model, size="256x256").run(image_description="A mistake")
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)


run(
    generate=lambda: generate("A lighthouse"),
    edit=NO_EDITS,
    mask=NO_EDITS,
    inputs=NO_EDITS,
    stream="`DallETool` returns the URL of a whole answer",
    error=error,
    retry=lambda: generate("A rate limit"),
)

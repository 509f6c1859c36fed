"""A Django project in one file: `GET /poster?title=…` is a poster in WebP."""

from __future__ import annotations

import base64
import sys

import openai
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["localhost", "testserver"],
    DEBUG=True,
    ROOT_URLCONF=__name__,
    SECRET_KEY="of an example",  # noqa: S106 - it keeps nothing
)


def poster(request: HttpRequest) -> HttpResponse:
    """A poster of the title; 422 where the prompt is refused."""
    title = request.GET.get("title", "")
    try:
        answer = openai.OpenAI().images.generate(
            model="gpt-image-2", prompt=f"A poster for {title}", output_format="webp"
        )
    except openai.BadRequestError as error:
        return JsonResponse({"error": error.code}, status=422)
    return HttpResponse(base64.b64decode(answer.data[0].b64_json), content_type="image/webp")


urlpatterns = [path("poster", poster)]

if __name__ == "__main__":
    # The tests and Django import the views from this module, and not from a second one.
    sys.modules["manage"] = sys.modules[__name__]
    execute_from_command_line(sys.argv)

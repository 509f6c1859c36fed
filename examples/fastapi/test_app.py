import app
import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def client(images_emulator):
    return TestClient(app.app)


def names(answer):
    """The names of the events in an answer."""
    return [line.removeprefix("event: ") for line in answer.text.splitlines() if "event: " in line]


def test_previews_come_before_the_poster(client, images_emulator):
    answer = client.post("/posters", json={"title": "The Lighthouse"})
    assert names(answer) == ["preview", "preview", "poster"]
    images_emulator.verify(stream=True, partial_images=2, times=1)


def test_stream_that_fails_in_the_middle_is_told(client, images_emulator):
    images_emulator.inject("stream_error", after=1)
    answer = client.post("/posters", json={"title": "The Lighthouse"})
    assert names(answer) == ["preview", "failed"]


def test_refused_prompt_is_told(client, images_emulator):
    images_emulator.inject("moderation_blocked")
    answer = client.post("/posters", json={"title": "The Lighthouse"})
    assert answer.text == "event: failed\ndata: moderation_blocked\n\n"

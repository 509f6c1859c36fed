import openai
import pytest

from images_emulator.testcontainers import ImagesEmulatorContainer


@pytest.fixture(scope="session")
def emulator():
    with ImagesEmulatorContainer(as_of="today") as container:
        yield container


@pytest.fixture(autouse=True)
def client(emulator):
    emulator.server.reset()
    return openai.OpenAI(base_url=emulator.base_url, api_key="sk-test")


def test_poster_is_drawn(client, emulator):
    client.images.generate(model="gpt-image-2", prompt="A poster")
    emulator.server.verify(prompt="A poster", times=1)


def test_server_error_is_tried_again(client, emulator):
    emulator.server.inject("server_error")
    client.images.generate(model="gpt-image-2", prompt="A poster")
    assert [call.status for call in emulator.server.calls()] == [500, 200]

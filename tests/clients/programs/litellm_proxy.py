"""LiteLLM's proxy in front of the server, called by OpenAI's SDK."""

import socket
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

from openai import APIStatusError, OpenAI
from report import run

# snippet yaml: LiteLLM's proxy
CONFIG = """
model_list:
  - model_name: gpt-image-2
    litellm_params:
      model: openai/gpt-image-2
      api_base: http://127.0.0.1:8080/v1
      api_key: sk-test
general_settings:
  master_key: sk-the-key-of-the-proxy-itself
"""
# end

Path("config.yaml").write_text(CONFIG)
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
home = f"http://127.0.0.1:{port}"
client = OpenAI(base_url=f"{home}/v1", api_key="sk-the-key-of-the-proxy-itself", max_retries=0)
MODEL = "gpt-image-2"


def images(answer):
    return [image.b64_json for image in answer.data]


def edit(prompt, image, **options):
    return images(client.images.edit(model=MODEL, prompt=prompt, image=image, **options))


def stream():
    events = [*client.images.generate(model=MODEL, prompt="A ship", stream=True, partial_images=2)]
    return {"events": [event.type for event in events], "images": [events[-1].b64_json]}


def error():
    try:
        client.images.generate(model=MODEL, prompt="A mistake", size="1000x1000")
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)


def wait_until_ready(proxy):
    while proxy.poll() is None:
        try:
            urlopen(f"{home}/health/readiness").close()
        except OSError:
            time.sleep(0.2)
        else:
            return


command = ["litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
with (
    open("proxy.log", "w") as log,
    subprocess.Popen(command, stdout=log, stderr=log) as proxy,
):
    try:
        wait_until_ready(proxy)
        run(
            generate=lambda: images(client.images.generate(model=MODEL, prompt="A lighthouse")),
            edit=lambda: edit("By night", Path("lighthouse.png")),
            mask=lambda: edit("A red door", Path("lighthouse.png"), mask=Path("mask.png")),
            inputs=lambda: edit("Both on one shelf", [Path("lighthouse.png"), Path("harbour.png")]),
            stream=stream,
            error=error,
            retry=lambda: images(client.images.generate(model=MODEL, prompt="A rate limit")),
        )
    finally:
        proxy.terminate()

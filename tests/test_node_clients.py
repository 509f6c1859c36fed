"""Other clients than openai-python, run as they are: the Node SDK, Vercel's AI SDK, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from images_emulator import Server, Settings
from tests.conftest import Node
from tests.pictures import half_clear, opened, png

NODE = """
import OpenAI, { toFile } from "openai";
import fs from "fs";

const [url, folder] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url + "/v1", apiKey: "sk-test", maxRetries: 0 });
const file = async (name) => toFile(fs.readFileSync(`${folder}/${name}`), name, { type: "image/png" });
const results = {};
const events = async (stream) => { const types = []; for await (const e of stream) types.push(e.type); return types; };

results.variation = await client.images.createVariation({
  image: fs.createReadStream(`${folder}/a.png`), n: 2, size: "256x256", user: "u" });
results.edit = await client.images.edit({
  model: "gpt-image-2", image: await file("a.png"), mask: await file("m.png"), prompt: "x",
  n: 1, background: "opaque", output_format: "png", quality: "low", size: "1024x1024", user: "u" });
results.edited = await events(await client.images.edit({
  model: "gpt-image-1.5", image: [await file("a.png"), await file("a.png")], prompt: "x",
  input_fidelity: "high", stream: true, partial_images: 2 }));
results.generate = await client.images.generate({
  model: "gpt-image-2", prompt: "x", n: 2, background: "auto", moderation: "low",
  output_compression: 80, output_format: "webp", quality: "low", size: "1536x1024", user: "u" });
results.generated = await events(await client.images.generate({
  model: "gpt-image-2", prompt: "x", stream: true, partial_images: 3 }));
results.plain = await client.images.generate({ prompt: "x" });
try {
  await client.images.edit({ model: "gpt-image-2", prompt: "x", image: fs.createReadStream(`${folder}/a.png`) });
} catch (error) {
  results.refused = [error.constructor.name, error.status, error.code, error.param];
}
console.log(JSON.stringify(results));
"""

AZURE = """
import { createAzure } from "@ai-sdk/azure";
import { experimental_generateImage as generateImage } from "ai";
import fs from "fs";
import { AzureOpenAI, toFile } from "openai";

const [url, folder] = process.argv.slice(2);
const results = {};
const refused = async (call) => {
  try { return await call(); } catch (e) { return [e.name ?? e.constructor.name, e.status ?? e.statusCode, e.code ?? e.data.error.code]; }
};
const image = fs.readFileSync(`${folder}/a.png`);
const edit = async (client) => client.images.edit({
  model: "gpt-image-1", prompt: "x", image: await toFile(image, "a.png", { type: "image/png" }) });

const options = { endpoint: url, apiKey: "k", apiVersion: "2025-04-01-preview", maxRetries: 0 };
const client = new AzureOpenAI(options);
const deployed = new AzureOpenAI({ ...options, deployment: "gpt-image-1" });
results.generated = await client.images.generate({ model: "gpt-image-2", prompt: "x", size: "1024x1024" });
results.filtered = await client.images.generate({ model: "dall-e-3", prompt: "x" });
results.edited = await edit(deployed);
// https://github.com/openai/openai-node/issues/1485
results.editedWithoutDeployment = await refused(() => edit(client));
results.tooOld = await refused(() => edit(new AzureOpenAI({ ...options, deployment: "gpt-image-1", apiVersion: "2024-02-01" })));
results.nowhere = await refused(() => client.images.generate({ model: "nowhere", prompt: "x" }));
results.streamed = [];
for await (const event of await client.images.generate({ model: "gpt-image-2", prompt: "x", stream: true, partial_images: 1 }))
  results.streamed.push(event.type);

const styles = {
  v1: { baseURL: url + "/openai/v1" },
  deployments: { baseURL: url + "/openai", useDeploymentBasedUrls: true, apiVersion: "2025-04-01-preview" },
};
for (const [style, options] of Object.entries(styles)) {
  const azure = createAzure({ apiKey: "k", ...options });
  const draw = async (model, prompt) =>
    (await generateImage({ model: azure.image(model), prompt, size: "1024x1024", maxRetries: 0 })).image.base64;
  results[style] = [
    await draw("gpt-image-2", "x"), await draw("dall-e-3", "x"), await draw("gpt-image-1", { text: "x", images: [image] })];
  results[style + "Refused"] = await refused(() => draw("nowhere", "x"));
}
console.log(JSON.stringify(results));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("client")
    (path / "a.png").write_bytes(png())
    (path / "m.png").write_bytes(half_clear())
    return path


@pytest.fixture(scope="module")
def results(node: Node, folder: Path) -> dict[str, Any]:
    """What the Node SDK got."""
    with Server(Settings(port=0)) as server:
        got: dict[str, Any] = node(NODE, server.url, str(folder))
    return got


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_node_sdk_makes_all_calls(results: dict[str, Any]) -> None:
    assert [bool(item["url"]) for item in results["variation"]["data"]] == [True, True]
    assert opened(results["edit"]["data"][0]["b64_json"]).size == (1024, 1024)
    pictures = [opened(item["b64_json"]) for item in results["generate"]["data"]]
    assert [(picture.format, picture.size) for picture in pictures] == [("WEBP", (1536, 1024))] * 2
    assert results["plain"]["data"][0]["url"]


@pytest.fixture(scope="module")
def azure(node: Node, folder: Path) -> dict[str, Any]:
    """What the Node SDK and Vercel's AI SDK got of Azure."""
    with Server(Settings(port=0)) as server:
        got: dict[str, Any] = node(AZURE, server.url, str(folder))
    return got


@pytest.mark.timeout(300)
def test_node_sdk_calls_azure(azure: dict[str, Any]) -> None:
    assert opened(azure["generated"]["data"][0]["b64_json"]).size == (1024, 1024)
    assert azure["generated"]["quality"] == "high"
    assert list(azure["filtered"]["data"][0]) == [
        *("content_filter_results", "prompt_filter_results", "revised_prompt", "url"),
    ]
    assert opened(azure["edited"]["data"][0]["b64_json"])
    assert azure["streamed"] == ["image_generation.partial_image", "image_generation.completed"]


@pytest.mark.timeout(300)
def test_node_sdk_raises_azure_errors(azure: dict[str, Any]) -> None:
    assert azure["editedWithoutDeployment"] == ["Error", 404, "404"]
    assert azure["tooOld"] == ["Error", 404, "404"]
    assert azure["nowhere"] == ["Error", 404, "DeploymentNotFound"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("style", ["v1", "deployments"])
def test_vercel_ai_sdk_calls_azure(azure: dict[str, Any], style: str) -> None:
    assert [opened(picture).size for picture in azure[style]] == [(1024, 1024)] * 3
    assert azure[f"{style}Refused"] == ["AI_APICallError", 404, "DeploymentNotFound"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_node_sdk_streams(results: dict[str, Any]) -> None:
    assert results["edited"] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    assert results["generated"] == (
        ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    )


@pytest.mark.timeout(300)
def test_node_sdk_read_stream_is_refused_as_octet_stream(results: dict[str, Any]) -> None:
    assert results["refused"] == ["BadRequestError", 400, "unsupported_file_mimetype", "image"]


def test_curl_edits(server: Server, folder: Path) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("needs curl")
    form = ["model=gpt-image-2", "prompt=x", "size=1024x1024", "image[]=@a.png", "mask=@m.png"]
    done = subprocess.run(
        [
            *(curl, "-s", f"{server.base_url}/images/edits", "-H", "Authorization: Bearer sk-test"),
            *(word for field in form for word in ("-F", field)),
        ],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    assert opened(json.loads(done.stdout)["data"][0]["b64_json"]).size == (1024, 1024)

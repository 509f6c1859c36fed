"""`ImagesEmulatorContainer`: a container with the emulator, for tests by Testcontainers for Python.
It needs the extra `[testcontainers]`, Docker, and the image."""

from __future__ import annotations

from typing import Any, Final

try:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy
except ModuleNotFoundError as error:
    command = "pip install 'openai-images-emulator[testcontainers]'"
    raise ModuleNotFoundError(f"it needs Testcontainers: {command}", name=error.name) from None

from images_emulator.environment import API_KEY, sdk_variables
from images_emulator.namespace_names import DEFAULT_NAMESPACE
from images_emulator.remote_server import RemoteServer
from images_emulator.setting_definition import unknown_setting_sentence
from images_emulator.settings import command_settings

IMAGE: Final = "images-emulator"
"""The name of the image that `docker build -t images-emulator .` makes."""

PORT: Final = 8080
"""The port in the container."""


class ImagesEmulatorContainer(DockerContainer):
    """A container of *image*, with *settings* by their names:

        with ImagesEmulatorContainer(as_of="today") as emulator:
            client = OpenAI(base_url=emulator.base_url, api_key="sk-test")
            emulator.server.inject("server_error")

    It is ready when it has started. Raises ValueError for a setting that there is not, and for a
    port, which Docker chooses; the container ends at once where a setting's value is wrong."""

    def __init__(self, image: str = IMAGE, **settings: Any) -> None:
        definitions = {each.name: each for each in command_settings()}
        variables = {name: each.variable for name, each in definitions.items()}
        for name in settings:
            if name not in variables:
                raise ValueError(unknown_setting_sentence(name, variables))
        if "port" in settings:
            raise ValueError("the port in the container is 8080; Docker chooses the one outside")
        # An unset setting, such as the `admin_token` of a variable that is not there.
        settings = {name: value for name, value in settings.items() if value is not None}
        # The check comes before the container is made, which asks for Docker.
        environment = {variables[name]: _variable_text(value) for name, value in settings.items()}
        super().__init__(image)
        self._token: str | None = settings.get("admin_token")
        keys = settings.get("api_key") or ()
        keys = definitions["api_key"].parse(keys) if isinstance(keys, str) else keys
        self._key = next(iter(keys), API_KEY)
        self.with_envs(**environment)
        self.with_exposed_ports(PORT)
        self.waiting_for(HttpWaitStrategy(PORT, "/_emulator/ready"))

    @property
    def url(self) -> str:
        """The address of the server on this machine, without a path."""
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(PORT)}"

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI's SDKs."""
        return f"{self.url}/v1"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables by which SDKs find the server, for other processes, or for
        `monkeypatch.setenv` in pytest."""
        return sdk_variables(self.url, self._key)

    @property
    def server(self) -> RemoteServer:
        """The server with the methods of `Server`: `calls`, `verify`, `inject`, `answer`, `clock`,
        `reset` and others."""
        return RemoteServer(self.url, DEFAULT_NAMESPACE, admin_token=self._token)


def _variable_text(value: Any) -> str:
    """The text of a setting's *value* in a variable."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)

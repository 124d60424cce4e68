"""The dashboard and the alert rules in contrib/: they can be read, and name only metrics and labels that exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from telemetry_desk import Desk, everything_happens

from sellctl.telemetry.sdk import Sdk

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "contrib" / "telemetry"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
RULES: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + [
    *(rule["expr"] for rule in ALERTS),
    *(variable["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"),
]
_METRIC = re.compile(r"\bsellctl_\w+")
_GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")  # sum by (account, le)
_MATCHED = re.compile(r"[{,](\w+)=")  # {account=~"$account"}


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """Every series that `/metrics` has once everything has happened, with its labels."""
    desk, registry = Desk(), CollectorRegistry()
    reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry)
    sdk = Sdk(TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False), registry)
    everything_happens(desk.over(sdk))
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(desk.telemetry.page().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_metric_that_is_named_exists_with_its_labels(expression: str, served: dict[str, set[str]]) -> None:
    names = _METRIC.findall(expression)
    assert names
    assert set(names) <= served.keys()
    labels = {name.strip() for group in _GROUPED.findall(expression) for name in group.split(",")}
    labels |= set(_MATCHED.findall(expression))
    assert labels <= set.union(*(served[name] for name in names))


def test_every_metric_of_the_program_is_on_the_dashboard(served: dict[str, set[str]]) -> None:
    shown = {name for expression in EXPRESSIONS for name in _METRIC.findall(expression)}
    bare = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in served}
    assert bare - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == set()


def test_every_metric_of_the_program_is_on_the_page_about_telemetry() -> None:
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    source = (ROOT / "sellctl" / "telemetry" / "metrics.py").read_text(encoding="utf-8")
    declared = set(re.findall(r'"(sellctl\.[a-z.]+)"', source))
    assert declared == set(re.findall(r"^\| `(sellctl\.[a-z.]+)`", page, re.MULTILINE))


def test_no_label_is_a_symbol(served: dict[str, set[str]]) -> None:
    assert set().union(*served.values()) <= {
        *("account", "api", "change", "kind", "le", "operation", "outcome", "reason", "result", "severity"),
    }


def test_each_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_panels_have_ids_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24

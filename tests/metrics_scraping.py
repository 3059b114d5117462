"""Scraping of the metrics of a running mesh, and comparison with the expected metrics."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deploy.local.mesh_config import SERVICES
from deploy.render_bootstrap import load_mesh
from tests.conftest import ROOT, shift_port

SETTINGS = load_mesh()["settings"]
PROBE_PORTS = {name: shift_port(SETTINGS[f"{name.upper()}_PROBE_PORT"]["default"]) for name in SERVICES}
ADMIN_PORTS = {name: shift_port(SETTINGS[f"{name.upper()}_ADMIN_PORT"]["default"]) for name in SERVICES}
EXPECTED_METRICS: dict[str, Any] = yaml.load(
    (ROOT / "tests/e2e/expected_metrics.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)

type Scrape = list[Sample]


def parse_samples(text: str) -> Scrape:
    """Parse an exposition. Names stay unchanged, although the parser appends `_total` to counters."""
    names = set(re.findall(r"^[a-zA-Z_:][\w:]*", text, re.MULTILINE))
    parsed = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [
        sample if sample.name in names else sample._replace(name=sample.name.removesuffix("_total"))
        for sample in parsed
    ]


def scrape_service(service: str) -> Scrape:
    """Scrape the metrics of a service at the probe port of its sidecar."""
    response = httpx.get(f"http://127.0.0.1:{PROBE_PORTS[service]}/metrics", trust_env=False, timeout=10)
    assert response.status_code == 200, response.text
    return parse_samples(response.text)


def scrape_envoy(service: str) -> Scrape:
    """Scrape the metrics of the Envoy of a service at its admin port."""
    url = f"http://127.0.0.1:{ADMIN_PORTS[service]}/stats/prometheus"
    return parse_samples(httpx.get(url, trust_env=False, timeout=10).raise_for_status().text)


def sum_samples(scrape: Scrape, name: str, **labels: str) -> float:
    """Return the sum of the samples with the name and labels."""
    return sum(sample.value for sample in find_samples(scrape, name, labels))


def find_samples(scrape: Scrape, name: str, labels: Mapping[str, str]) -> Iterator[Sample]:
    """Yield samples with the name and labels. Samples may have more labels."""
    for sample in scrape:
        if sample.name == name and labels.items() <= sample.labels.items():
            yield sample


def find_missing_metrics(scrape: Scrape, expected: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the expected metrics that are missing or below their minimum."""
    missing = []
    for metric in expected:
        labels = {name: str(value) for name, value in metric.items() if name not in ("metric", "minimum")}
        minimum = metric.get("minimum", 0)
        samples = list(find_samples(scrape, metric["metric"], labels))
        if not samples or sum(sample.value for sample in samples) < minimum:
            missing.append(f"{metric['metric']} {labels} (at least {minimum})")
    return missing


def parse_selectors(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the metrics that an expression selects, each with the labels of its matchers."""
    bare = re.sub(r"\[[^\]]*\]", "", re.sub(r'"[^"]*"', '""', expr))
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    for name, matchers in re.findall(
        r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?", re.sub(r"\[[^\]]*\]", "", bare)
    ):
        if name not in ("and", "or", "unless", "bool", "offset", "by", "le"):
            yield name, set(re.findall(r"(\w+)\s*[=!]", matchers or ""))

"""What a running mesh tells scrapers, and what the matrix says it must."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.conftest import ROOT, shift_port

SERVICES = ("gateway", "orders", "partners", "notifications")
PROBE_PORTS = {name: shift_port(15021 + index) for index, name in enumerate(SERVICES)}
ADMIN_PORTS = {name: shift_port(9901 + index) for index, name in enumerate(SERVICES)}
EXPECTED_METRICS: dict[str, Any] = yaml.safe_load((ROOT / "tests/e2e/expected_metrics.yaml").read_text())

type Scrape = list[Sample]


def parse_samples(text: str) -> Scrape:
    """Every sample of an exposition, by the name it has there: the parser adds `_total` to counters without."""
    names = set(re.findall(r"^[a-zA-Z_:][\w:]*", text, re.MULTILINE))
    parsed = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [each if each.name in names else each._replace(name=each.name.removesuffix("_total")) for each in parsed]


def scrape_service(service: str) -> Scrape:
    """What a service tells at its sidecar's probe door."""
    answer = httpx.get(f"http://127.0.0.1:{PROBE_PORTS[service]}/metrics", trust_env=False, timeout=10)
    assert answer.status_code == 200, answer.text
    return parse_samples(answer.text)


def scrape_envoy(service: str) -> Scrape:
    """What its Envoy tells at its admin."""
    url = f"http://127.0.0.1:{ADMIN_PORTS[service]}/stats/prometheus"
    return parse_samples(httpx.get(url, trust_env=False, timeout=10).raise_for_status().text)


def sum_samples(scrape: Scrape, name: str, **labels: str) -> float:
    """The sum of the samples of that name with these labels."""
    return sum(sample.value for sample in find_samples(scrape, name, labels))


def find_samples(scrape: Scrape, name: str, labels: Mapping[str, str]) -> Iterator[Sample]:
    """The samples of that name with these labels, whatever others they have."""
    for sample in scrape:
        if sample.name == name and labels.items() <= sample.labels.items():
            yield sample


def find_missing_metrics(scrape: Scrape, expected: Iterable[Mapping[str, Any]]) -> list[str]:
    """Which of the matrix's metrics are not there, or not as often as they must be."""
    lacking = []
    for each in expected:
        labels = {name: str(value) for name, value in each.items() if name not in ("metric", "least")}
        least = each.get("least", 0)
        there = list(find_samples(scrape, each["metric"], labels))
        if not there or sum(sample.value for sample in there) < least:
            lacking.append(f"{each['metric']} {labels} (at least {least})")
    return lacking


def parse_selectors(expr: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics that an expression asks for, each with the labels that it asks for."""
    bare = re.sub(r"\[[^\]]*\]", "", re.sub(r'"[^"]*"', '""', expr))
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    for name, matchers in re.findall(
        r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?", re.sub(r"\[[^\]]*\]", "", bare)
    ):
        if name not in ("and", "or", "unless", "bool", "offset", "by", "le"):
            yield name, set(re.findall(r"(\w+)\s*[=!]", matchers or ""))

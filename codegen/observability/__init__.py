"""What operators watch: where Prometheus scrapes, what it raises alarm over, and a dashboard; names from the contracts."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from codegen.contracts import Contracts, Files
from codegen.envoy import MESH_FILE, operator_proxy
from codegen.envoy.common import Config
from codegen.observability import alerts, dashboard

HEADER = "# Written by `make generate` from api-specs and envoy/mesh.yaml. Do not edit.\n"


def scrape_config(mesh: Mapping[str, Any]) -> Config:
    """Every app by its sidecar's probe door, and every Envoy by its admin, where they are by default."""
    names = [name for name in mesh["sidecars"] if name != operator_proxy.SIDECAR_NAME]

    def targets(door: str) -> list[Config]:
        ports = {name: mesh["settings"][f"{name.upper()}_{door}_PORT"]["default"] for name in names}
        return [{"targets": [f"127.0.0.1:{port}"], "labels": {"service": name}} for name, port in ports.items()]

    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {"job_name": "delivery", "metrics_path": "/metrics", "static_configs": targets("PROBE")},
            {"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": targets("ADMIN")},
        ],
    }


def dump_yaml(content: Config) -> str:
    """As YAML, expressions in one line each."""
    return HEADER + yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=10_000)


def generate(contracts: Contracts) -> Files:
    """`generated/observability/`: prometheus.yml, alerts.yml and dashboard.json."""
    mesh: Config = yaml.safe_load(MESH_FILE.read_text())
    return {
        "observability/prometheus.yml": dump_yaml(scrape_config(mesh)),
        "observability/alerts.yml": dump_yaml(alerts.alert_rules(contracts)),
        "observability/dashboard.json": json.dumps(dashboard.build_dashboard(contracts), indent=1, ensure_ascii=False)
        + "\n",
    }

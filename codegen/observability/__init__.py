"""Generator of the Prometheus configuration, alert rules and Grafana dashboard, with names from the contracts."""

import json
from collections.abc import Mapping
from typing import Any

from codegen.contracts import Contracts, Files
from codegen.envoy.common import SCRAPE_INTERVAL, Config
from codegen.mesh import list_services
from codegen.observability import alert_rules, dashboard
from codegen.yaml_output import dump_yaml

HEADER = "# Written by `make generate` from api-specs and envoy/mesh.yaml. Do not edit.\n"
LINE_WIDTH = 10_000
"""Wide enough for one PromQL expression per line."""


def build_scrape_config(mesh: Mapping[str, Any]) -> Config:
    """Return the scrape targets at default ports: each app's probe listener and each Envoy's admin interface."""
    names = list_services(mesh)

    def build_targets(listener: str) -> list[Config]:
        ports = {name: mesh["settings"][f"{name.upper()}_{listener}_PORT"]["default"] for name in names}
        return [{"targets": [f"127.0.0.1:{port}"], "labels": {"service": name}} for name, port in ports.items()]

    return {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {"job_name": mesh["name"], "metrics_path": "/metrics", "static_configs": build_targets("PROBE")},
            {"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": build_targets("ADMIN")},
        ],
    }


def generate(contracts: Contracts) -> Files:
    """Generate `observability/`: prometheus.yml, alerts.yml and dashboard.json."""
    mesh = contracts.mesh
    return {
        "observability/prometheus.yml": dump_yaml(HEADER, build_scrape_config(mesh), width=LINE_WIDTH),
        "observability/alerts.yml": dump_yaml(HEADER, alert_rules.build_alert_rules(contracts), width=LINE_WIDTH),
        "observability/dashboard.json": json.dumps(dashboard.build_dashboard(contracts), indent=1, ensure_ascii=False)
        + "\n",
    }

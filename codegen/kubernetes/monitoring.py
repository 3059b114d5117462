"""Objects for Prometheus Operator and Grafana: PodMonitor, PrometheusRule and the ConfigMap of the dashboard."""

from collections.abc import Mapping

from codegen.contracts import Contracts
from codegen.envoy.common import SCRAPE_INTERVAL, Config
from codegen.kubernetes.objects import (
    PART_OF_LABEL,
    add_recommended_labels,
    build_kustomization,
    build_object,
)
from codegen.mesh import PLACEHOLDER
from codegen.observability import alert_rules

NAME = PLACEHOLDER
DASHBOARD_NAME = f"{PLACEHOLDER}-dashboard"
METRICS_PATHS = {PLACEHOLDER: "/metrics", "envoy": "/stats/prometheus"}
"""Paths of the probe listener by job; the jobs are those of `observability/prometheus.yml`, which the alerts name."""


def build_pod_monitor() -> Config:
    """Return the PodMonitor of all services: each pod has the metrics of the app and those of its Envoy."""
    service_label = {"sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"], "targetLabel": "service"}
    endpoints = [
        {
            "port": "probe",
            "path": path,
            "interval": SCRAPE_INTERVAL,
            "relabelings": [{"targetLabel": "job", "replacement": job}, service_label],
        }
        for job, path in METRICS_PATHS.items()
    ]
    selector = {"matchLabels": {**PART_OF_LABEL, "app.kubernetes.io/component": "service"}}
    spec = {"selector": selector, "podMetricsEndpoints": endpoints}
    return build_object("monitoring.coreos.com/v1", "PodMonitor", NAME, NAME, spec=spec)


def build_objects(contracts: Contracts) -> Mapping[str, Config]:
    """Return the objects by file name."""
    rules = alert_rules.build_alert_rules(contracts)
    return {
        "pod-monitor": build_pod_monitor(),
        "prometheus-rule": build_object("monitoring.coreos.com/v1", "PrometheusRule", NAME, NAME, spec=rules),
    }


def build_dashboard_kustomization(version: str) -> Config:
    """Return the kustomization of `observability/`, which wraps dashboard.json in a ConfigMap.

    Grafana's sidecar imports ConfigMaps with the label `grafana_dashboard`; they need a constant name.
    """
    (labelled,) = add_recommended_labels(
        [build_object("v1", "ConfigMap", DASHBOARD_NAME, DASHBOARD_NAME)], "monitoring", version
    )
    options = {
        "disableNameSuffixHash": True,
        "labels": {**labelled["metadata"]["labels"], "grafana_dashboard": "1"},
    }
    generator = {"name": DASHBOARD_NAME, "files": ["dashboard.json"], "options": options}
    return build_kustomization(configMapGenerator=[generator])

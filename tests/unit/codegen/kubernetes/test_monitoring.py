"""Objects for Prometheus Operator and Grafana."""

from codegen import observability
from codegen.contracts import load
from codegen.kubernetes import monitoring
from codegen.mesh import PLACEHOLDER
from codegen.observability import alert_rules
from tests.conftest import ROOT


def test_pod_monitor_has_the_jobs_of_the_prometheus_configuration() -> None:
    settings = {f"ORDERS_{name}_PORT": {"default": 1} for name in ("PROBE", "ADMIN")}
    configuration = observability.build_scrape_config(
        {"name": PLACEHOLDER, "sidecars": ["orders"], "settings": settings}
    )
    expected = {each["job_name"]: each["metrics_path"] for each in configuration["scrape_configs"]}
    spec = monitoring.build_pod_monitor()["spec"]
    found = {each["relabelings"][0]["replacement"]: each["path"] for each in spec["podMetricsEndpoints"]}
    assert found == expected
    assert {each["interval"] for each in spec["podMetricsEndpoints"]} == {configuration["global"]["scrape_interval"]}


def test_pod_monitor_names_the_service_of_each_pod() -> None:
    for endpoint in monitoring.build_pod_monitor()["spec"]["podMetricsEndpoints"]:
        assert endpoint["port"] == "probe"
        assert endpoint["relabelings"][1] == {
            "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
            "targetLabel": "service",
        }


def test_pod_monitor_selects_services_and_no_migrations() -> None:
    assert monitoring.build_pod_monitor()["spec"]["selector"] == {
        "matchLabels": {"app.kubernetes.io/part-of": PLACEHOLDER, "app.kubernetes.io/component": "service"}
    }


def test_prometheus_rule_contains_all_alert_rules() -> None:
    contracts = load(ROOT)
    rule = monitoring.build_objects(contracts)["prometheus-rule"]
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == alert_rules.build_alert_rules(contracts)


def test_dashboard_has_the_label_of_grafana_and_a_constant_name() -> None:
    (generator,) = monitoring.build_dashboard_kustomization("1.2.3")["configMapGenerator"]
    assert generator["files"] == ["dashboard.json"]
    assert generator["options"]["disableNameSuffixHash"] is True
    assert generator["options"]["labels"]["grafana_dashboard"] == "1"
    assert generator["options"]["labels"]["app.kubernetes.io/version"] == "1.2.3"

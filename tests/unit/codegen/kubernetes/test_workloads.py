"""Deployment, autoscaler, disruption budget and migration Job of a service."""

import pytest

from codegen.envoy.common import Config
from codegen.kubernetes import workloads
from codegen.kubernetes.containers import GRACE_PERIOD_S, SIDECAR_STOP_DELAY_S
from codegen.kubernetes.objects import build_labels

PORTS = {"ingress": 15002, "probe": 15022}


def pod(workload: Config) -> Config:
    spec: Config = workload["spec"]["template"]["spec"]
    return spec


def pod_labels(workload: Config) -> Config:
    found: Config = workload["spec"]["template"]["metadata"]["labels"]
    return found


DEPLOYMENT = workloads.build_deployment("orders", PORTS)
JOB = workloads.build_migration_job("orders")


@pytest.mark.parametrize("workload", [DEPLOYMENT, JOB], ids=["deployment", "job"])
def test_pod_runs_as_unprivileged_user_without_api_token(workload: Config) -> None:
    spec = pod(workload)
    assert spec["automountServiceAccountToken"] is False
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert 0 not in (context["runAsUser"], context["runAsGroup"])
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("service", ["gateway", "orders"])
def test_every_volume_mount_has_a_volume(service: str) -> None:
    for workload in (workloads.build_deployment(service, PORTS), workloads.build_migration_job(service)):
        spec = pod(workload)
        mounted = {
            mount["name"]
            for container in [*spec["containers"], *spec.get("initContainers", [])]
            for mount in container["volumeMounts"]
        }
        assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_new_pod_is_ready_before_an_old_one_stops() -> None:
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_grace_period_covers_draining_of_app_and_sidecar() -> None:
    assert pod(DEPLOYMENT)["terminationGracePeriodSeconds"] == GRACE_PERIOD_S > SIDECAR_STOP_DELAY_S


def test_sockets_are_in_memory_and_temporary_files_bounded() -> None:
    volumes = {each["name"]: each for each in pod(DEPLOYMENT)["volumes"]}
    assert volumes["run"]["emptyDir"]["medium"] == "Memory"
    assert all("sizeLimit" in volumes[name]["emptyDir"] for name in ("run", "tmp"))
    assert volumes["secrets"]["secret"] == {"secretName": "orders-files", "optional": True}


def test_bootstrap_is_rendered_before_the_containers_start() -> None:
    assert [each["name"] for each in pod(DEPLOYMENT)["initContainers"]] == ["bootstrap"]
    assert [each["name"] for each in pod(DEPLOYMENT)["containers"]] == ["orders", "envoy"]


def test_deployment_selects_and_spreads_its_pods() -> None:
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == pod_labels(DEPLOYMENT) == build_labels("orders")
    constraints = pod(DEPLOYMENT)["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(each["labelSelector"]["matchLabels"] == build_labels("orders") for each in constraints)


def test_job_pod_is_not_selected_by_the_service() -> None:
    selector, found = build_labels("orders"), pod_labels(JOB)
    assert not selector.items() <= found.items()
    assert found["app.kubernetes.io/name"] == JOB["metadata"]["name"] == "orders-migrate"


def test_job_is_bounded_and_uses_no_service_account() -> None:
    assert JOB["spec"]["backoffLimit"] == 3
    assert JOB["spec"]["activeDeadlineSeconds"] > 0
    assert pod(JOB)["restartPolicy"] == "Never"
    assert "serviceAccountName" not in pod(JOB)
    assert pod(DEPLOYMENT)["serviceAccountName"] == "orders"


def test_autoscaler_has_at_least_two_replicas() -> None:
    spec = workloads.build_autoscaler("orders")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}
    assert 2 <= spec["minReplicas"] < spec["maxReplicas"]
    assert "replicas" not in DEPLOYMENT["spec"]  # the autoscaler sets it


def test_at_most_one_pod_is_evicted_at_a_time() -> None:
    spec = workloads.build_disruption_budget("orders")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["selector"]["matchLabels"] == pod_labels(DEPLOYMENT)

"""Workloads of a service: Deployment with autoscaler and disruption budget, and migration Job."""

from collections.abc import Mapping

from codegen.envoy.common import Config
from codegen.kubernetes.containers import (
    GRACE_PERIOD_S,
    build_app_container,
    build_bootstrap_container,
    build_envoy_container,
    build_migration_container,
)
from codegen.kubernetes.objects import PART_OF_LABEL, build_certificate_volume, build_labels, build_object

USER_ID = 10001


def build_pod_spec(service: str, *, has_service_account: bool = True) -> Config:
    """Return the security settings of all pods: an unprivileged user, and no token for the cluster's API."""
    return {
        **({"serviceAccountName": service} if has_service_account else {}),
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def build_deployment(service: str, ports: Mapping[str, int]) -> Config:
    """Return the Deployment. A pod is removed only after its replacement is ready."""
    volumes: list[Config] = [
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "secrets", "secret": {"secretName": f"{service}-files", "optional": True}},
        {"name": "pki", "secret": build_certificate_volume(f"{service}-pki", service)},
    ]
    if service == "gateway":
        volumes.append({"name": "edge", "secret": build_certificate_volume("gateway-edge", "edge")})
    spec = {
        **build_pod_spec(service),
        "terminationGracePeriodSeconds": GRACE_PERIOD_S,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": topology,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": build_labels(service)},
            }
            for topology in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        "initContainers": [build_bootstrap_container(service)],
        "containers": [build_app_container(service, ports["probe"]), build_envoy_container(service, ports)],
        "volumes": volumes,
    }
    return build_object(
        "apps/v1",
        "Deployment",
        service,
        service,
        spec={
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": build_labels(service)},
            "template": {"metadata": {"labels": build_labels(service)}, "spec": spec},
        },
    )


def build_autoscaler(service: str) -> Config:
    """Return the HorizontalPodAutoscaler, which scales on CPU utilisation."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": service}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    return build_object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        service,
        service,
        spec={"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10, "metrics": [metric]},
    )


def build_disruption_budget(service: str) -> Config:
    """Return the PodDisruptionBudget: at most one pod is evicted at a time."""
    return build_object(
        "policy/v1",
        "PodDisruptionBudget",
        service,
        service,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": build_labels(service)}},
    )


def build_migration_job(service: str) -> Config:
    """Return the Job that migrates the database before the pods of a new release start, beside the old release."""
    spec = {
        **build_pod_spec(service, has_service_account=False),
        "restartPolicy": "Never",
        "containers": [build_migration_container(service)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return build_object(
        "batch/v1",
        "Job",
        f"{service}-migrate",
        service,
        spec={
            "backoffLimit": 3,
            "activeDeadlineSeconds": 600,
            "ttlSecondsAfterFinished": 600,
            # The labels differ from those of the service's pods, so that its Service does not select this pod.
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": f"{service}-migrate", **PART_OF_LABEL}},
                "spec": spec,
            },
        },
    )

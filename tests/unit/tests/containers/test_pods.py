"""Adaptation of Deployments to Podman."""

from codegen.kubernetes.workloads import build_deployment
from tests.containers.pods import adapt_deployment


def test_completed_init_container_is_not_restarted() -> None:
    adapted = adapt_deployment(build_deployment("orders", {"ingress": 15002, "probe": 15022}), "orders-one")
    spec = adapted["spec"]["template"]["spec"]
    assert [container["name"] for container in spec["initContainers"]] == ["bootstrap"]
    assert spec["restartPolicy"] == "OnFailure"


def test_volumes_and_mounts_have_the_name_of_the_pod_as_prefix() -> None:
    adapted = adapt_deployment(build_deployment("orders", {"ingress": 15002, "probe": 15022}), "orders-one")
    spec = adapted["spec"]["template"]["spec"]
    names = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
    assert names == {"orders-one-run", "orders-one-tmp"}
    assert {mount["name"] for mount in spec["initContainers"][0]["volumeMounts"]} <= names

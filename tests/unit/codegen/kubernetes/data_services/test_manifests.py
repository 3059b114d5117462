"""Files of the data services."""

from codegen.kubernetes.data_services import manifests
from codegen.kubernetes.network_policies import Connections

CONNECTIONS = {
    "gateway": Connections(("postgresql", "rabbitmq"), ()),
    "orders": Connections(("postgresql", "mongodb", "rabbitmq"), ()),
}


def test_engines_without_a_client_have_no_file() -> None:
    files = manifests.build_files(CONNECTIONS, "1.0.0")
    assert {name for name in files if name.startswith(f"{manifests.BASE}/")} == {
        f"{manifests.BASE}/{name}" for name in ("kustomization", "mongodb", "name-references", "postgresql", "rabbitmq")
    }


def test_base_contains_the_engines_and_the_definitions() -> None:
    (kustomization,) = manifests.build_files(CONNECTIONS, "1.0.0")[f"{manifests.BASE}/kustomization"]
    assert kustomization["resources"] == ["mongodb.yaml", "postgresql.yaml", "rabbitmq.yaml", "../../rabbitmq"]
    assert kustomization["configurations"] == ["name-references.yaml"]


def test_component_patches_each_service() -> None:
    files = manifests.build_files(CONNECTIONS, "1.0.0")
    (component,) = files[f"{manifests.CLIENTS}/kustomization"]
    assert component["kind"] == "Component"
    assert [patch["path"] for patch in component["patches"]] == ["gateway.yaml", "orders.yaml"]
    assert {f"{manifests.CLIENTS}/gateway", f"{manifests.CLIENTS}/orders"} <= files.keys()


def test_objects_are_labelled_as_data_services() -> None:
    files = manifests.build_files(CONNECTIONS, "1.2.3")
    for name in ("postgresql", "mongodb", "rabbitmq"):
        for each in files[f"{manifests.BASE}/{name}"]:
            labels = each["metadata"]["labels"]
            assert labels["app.kubernetes.io/component"] == "data-service"
            assert labels["app.kubernetes.io/version"] == "1.2.3"

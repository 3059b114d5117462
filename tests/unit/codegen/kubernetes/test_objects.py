"""Labels of Kubernetes objects and their pod templates."""

from codegen.kubernetes.objects import add_recommended_labels, build_labels, build_object, render_objects
from codegen.kubernetes.workloads import build_deployment
from codegen.mesh import PLACEHOLDER

ADDED = {
    "app.kubernetes.io/component": "service",
    "app.kubernetes.io/version": "1.2.3",
    "app.kubernetes.io/instance": PLACEHOLDER,
    "app.kubernetes.io/managed-by": "kustomize",
}


def test_recommended_labels_are_added_to_object_and_pod_template() -> None:
    deployment = build_deployment("orders", {"ingress": 15002, "probe": 15022})
    (labelled,) = add_recommended_labels([deployment], "service", "1.2.3")
    assert labelled["metadata"]["labels"] == build_labels("orders") | ADDED
    assert labelled["spec"]["template"]["metadata"]["labels"] == build_labels("orders") | ADDED


def test_selectors_do_not_change_with_the_version() -> None:
    deployment = build_deployment("orders", {"ingress": 15002, "probe": 15022})
    (labelled,) = add_recommended_labels([deployment], "service", "1.2.3")
    assert labelled["spec"]["selector"] == deployment["spec"]["selector"] == {"matchLabels": build_labels("orders")}


def test_labelled_object_is_a_copy() -> None:
    account = build_object("v1", "ServiceAccount", "orders", "orders")
    (labelled,) = add_recommended_labels([account], "service", "1.2.3")
    assert labelled == account | {"metadata": {"name": "orders", "labels": build_labels("orders") | ADDED}}
    assert account["metadata"]["labels"] == build_labels("orders")


def test_objects_are_rendered_with_the_name_of_the_mesh() -> None:
    text = render_objects("# Header\n", "notes", build_object("v1", "ServiceAccount", "orders", "orders"))
    assert text.startswith("# Header\n")
    assert "app.kubernetes.io/part-of: notes\n" in text

"""Attributes of the resource, compared with OpenTelemetry's semantic conventions."""

import tomllib
import uuid

from opentelemetry.semconv.attributes import deployment_attributes, service_attributes

from deploy.local.mesh_config import ROOT
from services.runtime.telemetry import resource, tracing


def test_resource_has_attributes_of_the_convention() -> None:
    attributes = resource.build_resource("orders", "production").attributes
    instance_id = str(attributes[service_attributes.SERVICE_INSTANCE_ID])
    assert str(uuid.UUID(instance_id)) == instance_id
    assert attributes.items() >= {
        (service_attributes.SERVICE_NAME, "orders"),
        (service_attributes.SERVICE_NAMESPACE, "delivery"),
        (service_attributes.SERVICE_VERSION, resource.read_version()),
        (deployment_attributes.DEPLOYMENT_ENVIRONMENT_NAME, "production"),
    }


def test_spans_and_metrics_of_a_process_have_one_instance_id() -> None:
    tracer_provider = tracing.build_tracer_provider("orders", "production", 100)
    assert tracer_provider.resource is resource.build_resource("orders", "production")


def test_version_in_a_source_tree_is_that_of_the_project() -> None:
    assert (
        resource.read_version()
        == tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    )

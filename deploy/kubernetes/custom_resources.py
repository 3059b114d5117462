"""Validation of custom resources, which Kubernetes' own schema does not cover.

The package kubernetes-models has the schemas of some operators, and `operator_schemas.yaml` those of the others. The
parts that an operator merges into a pod template are validated as pods.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import yaml

GROUPS_WITH_MODELS = (
    "cert-manager.io/",
    "gateway.networking.k8s.io/",
    "monitoring.coreos.com/",
    "postgresql.cnpg.io/",
)
"""API groups whose schemas kubernetes-models has."""

MODELS_VALIDATOR = Path(__file__).with_name("validate_custom_resources.mjs")
UNKNOWN_FIELDS_FINDER = Path(__file__).with_name("find_unknown_fields.mjs")
SCHEMAS_FILE = Path(__file__).with_name("operator_schemas.yaml")
POD_TEMPLATE_PATHS: Mapping[str, Sequence[str]] = {
    "RabbitmqCluster": ("override", "statefulSet", "spec", "template"),
    "MongoDBCommunity": ("statefulSet", "spec", "template"),
}
"""Path of the pod template below the spec of a kind."""


@cache
def load_schemas() -> Mapping[str, Any]:
    """Return the schemas by API version and kind, and the definitions that they share."""
    schemas: Mapping[str, Any] = yaml.load(SCHEMAS_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return schemas


def is_custom_resource(item: Mapping[str, Any]) -> bool:
    """Return whether the schema of an object is one of a custom resource."""
    return item["apiVersion"].startswith(GROUPS_WITH_MODELS) or item["apiVersion"] in load_schemas()


def validate(objects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the violations of the schemas of custom resources."""
    with_models = []
    for item in objects:
        if item["apiVersion"].startswith(GROUPS_WITH_MODELS):
            with_models.append(item)
        else:
            yield from (f"{item['kind']} {item['metadata']['name']}: {finding}" for finding in _validate_spec(item))
    if with_models:
        yield from _run_script(MODELS_VALIDATOR, with_models)


def find_unknown_fields(objects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the fields that the types of kubernetes-models do not have. This takes two seconds."""
    yield from _run_script(
        UNKNOWN_FIELDS_FINDER, [each for each in objects if each["apiVersion"].startswith(GROUPS_WITH_MODELS)]
    )


def _run_script(script: Path, objects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    result = subprocess.run(
        ["node", str(script)], check=True, capture_output=True, text=True, input=json.dumps(objects), encoding="utf-8"
    )
    yield from result.stdout.splitlines()


def _validate_spec(item: Mapping[str, Any]) -> Iterator[str]:
    schemas, kind, spec = load_schemas(), item["kind"], item["spec"]
    schema = schemas[item["apiVersion"]].get(kind)
    if schema is None:
        yield f"no schema of {item['apiVersion']} {kind}"
        return
    validator = jsonschema_rs.validator_for({**schema, "$defs": schemas["$defs"]})
    for error in validator.iter_errors(spec):
        yield f"{'/'.join(map(str, ['spec', *error.instance_path]))}: {error.message}"
    if pod := _build_pod(kind, spec):
        try:
            kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"pod template: {error.message}"


def _build_pod(kind: str, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a pod of the pod template of a custom resource, and of its affinity."""
    template: Any = spec
    for key in POD_TEMPLATE_PATHS.get(kind, ()):
        template = template.get(key, {})
    if template is spec:
        return None
    pod_spec = {"containers": [], **template.get("spec", {})}
    if "affinity" in spec:
        pod_spec["affinity"] = spec["affinity"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": kind.lower()}, "spec": pod_spec}

"""Builder of the OpenAPI document of webhooks: the signed requests that the platform sends to other systems.

The contracts of these systems define the requests as `paths`, since the systems implement them. For an integrator of
the platform's API the same operations are `webhooks`.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codegen.contracts import HTTP_METHODS, ContractError, Contracts
from codegen.openapi.parameters import merge_parameters
from codegen.rest.handlers import SIGNED_SCHEME
from codegen.yaml_input import list_references

STEM = "webhooks"
"""Stem of the published document."""

type Name = tuple[str, str]
"""Section and name of a component."""


@dataclass(frozen=True)
class _SignedOperation:
    """Operation of another system that the platform calls with a signature."""

    contracts: Contracts
    stem: str
    path: str
    method: str

    @property
    def document(self) -> dict[str, Any]:
        return self.contracts.openapi[self.stem]

    @property
    def item(self) -> dict[str, Any]:
        item: dict[str, Any] = self.document["paths"][self.path]
        return item

    @property
    def raw(self) -> dict[str, Any]:
        raw: dict[str, Any] = self.item[self.method]
        return raw

    def get_id(self) -> str:
        """Return the operationId. Raises ContractError without one."""
        if "operationId" not in self.raw:
            raise self.create_error("the webhook has no operationId, which names it", "add one")
        operation_id: str = self.raw["operationId"]
        return operation_id

    def create_error(self, problem: str, remedy: str) -> ContractError:
        location = self.contracts.format_location(self.stem, "paths", self.path, self.method)
        return ContractError(f"{location}: {problem}; {remedy}")

    def build_webhook(self) -> dict[str, Any]:
        """Return the operation with its address in the description instead of in path parameters."""
        parameters = merge_parameters(self.item.get("parameters", []), self.raw.get("parameters", []), self._get_key)
        server = next((each["url"] for each in self.document.get("servers", ())), "")
        address = f"Sent as `{self.method.upper()} {server}{self.path}`."
        return copy.deepcopy(
            self.raw
            | {
                "tags": [self.document["info"]["title"]],
                "description": f"{address} {self.raw.get('description', '')}".strip(),
                "parameters": [each for each in parameters if self._get_key(each)[1] != "path"],
            }
        )

    def _get_key(self, parameter: dict[str, Any]) -> tuple[str, str]:
        resolved = self.contracts.resolve_reference(self.stem, parameter)
        return resolved["name"], resolved["in"]


def build_document(contracts: Contracts) -> dict[str, Any] | None:
    """Return the document of all webhooks, or None without webhooks.

    Raises ContractError when a contract has the name of the document, or when contracts differ in a component or use an
    operationId twice.
    """
    webhooks: dict[str, Any] = {}
    components: dict[str, dict[Name, Any]] = {}
    tags: dict[str, dict[str, str]] = {}
    for operation in _iter_signed_operations(contracts):
        if (name := operation.get_id()) in webhooks:
            raise operation.create_error("another contract has a webhook with this operationId", "rename one")
        webhook = operation.build_webhook()
        webhooks[name] = {operation.method: webhook}
        tags.setdefault(operation.stem, _build_tag(operation.document, operation.stem))
        scheme = {"$ref": f"#/components/securitySchemes/{SIGNED_SCHEME}"}
        _collect_components(operation.document, [scheme, webhook], components.setdefault(operation.stem, {}))
    if not webhooks:
        return None
    if STEM in contracts.openapi:
        location = contracts.format_location(STEM)
        raise ContractError(f"{location}: {STEM} is the name of the generated document of webhooks; rename the file")
    return {
        "openapi": "3.1.0",
        "info": _build_info(contracts.openapi[contracts.name]["info"]),
        "servers": [server for stem in tags for server in contracts.openapi[stem].get("servers", ())],
        "security": [{SIGNED_SCHEME: []}],
        "tags": list(tags.values()),
        "webhooks": webhooks,
        "components": _merge_components(contracts, components),
    }


def _iter_signed_operations(contracts: Contracts) -> Iterator[_SignedOperation]:
    for stem, document in contracts.openapi.items():
        if stem == contracts.name:
            continue
        for path, item in document.get("paths", {}).items():
            for method in HTTP_METHODS:
                security = item.get(method, {}).get("security", document.get("security", []))
                if method in item and any(SIGNED_SCHEME in requirement for requirement in security):
                    yield _SignedOperation(contracts, stem, path, method)


def _build_info(info: dict[str, Any]) -> dict[str, Any]:
    """Return the `info` of the document, from that of the API."""
    return {
        "title": f"{info['title']}: webhooks",
        "version": info["version"],
        "summary": "Signed requests that the platform sends to other systems.",
        "description": (
            "Each group describes the requests to one kind of system, with retries, timeouts, idempotency and"
            " signatures. The contract of the system defines the same operations as `paths`, and its callbacks."
        ),
    } | {key: info[key] for key in ("contact", "license") if key in info}


def _build_tag(document: dict[str, Any], stem: str) -> dict[str, str]:
    info = document["info"]
    contract = f"[Contract](/openapi/{stem}.yaml)"
    description = ": ".join(filter(None, [contract, info.get("summary")]))
    return {"name": info["title"], "description": "\n\n".join(filter(None, [description, info.get("description")]))}


def _collect_components(document: dict[str, Any], root: Any, found: dict[Name, Any]) -> None:
    """Add the components of a document that a node refers to, directly or not."""
    for _, reference in list_references(root):
        section, component = reference.split("/")[2:]
        if (section, component) not in found:
            found[section, component] = target = document["components"][section][component]
            _collect_components(document, target, found)


def _merge_components(contracts: Contracts, found: dict[str, dict[Name, Any]]) -> dict[str, dict[str, Any]]:
    """Return the components of all contracts by section. Raises ContractError for different ones with one name."""
    merged: dict[str, dict[str, Any]] = {}
    for stem, components in found.items():
        for (section, name), component in components.items():
            if merged.setdefault(section, {}).setdefault(name, component) != component:
                location = contracts.format_location(stem, "components", section, name)
                raise ContractError(f"{location}: another contract with webhooks defines it differently; rename one")
    return copy.deepcopy(merged)

"""Bootstraps of external callers, and validation of their contracts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from codegen import envoy
from codegen.contracts import ContractError, Contracts, load
from codegen.envoy import external_callers, lint, sidecar
from codegen.envoy.common import Profile
from codegen.mesh import list_callees, load_mesh
from tests.conftest import ROOT

CONTRACTS: Contracts = load(ROOT)
MESH = load_mesh(ROOT)
CALLEES = list_callees(MESH)
LIST_CATALOG = "/delivery.partners.v1.PartnersService/ListCatalog"
DEVELOPMENT, PRODUCTION = Profile("development"), Profile("production")


def contracts_with_caller(name: str = "kiosk", granted: Sequence[str] = (LIST_CATALOG,), **changes: Any) -> Contracts:
    """Return the contracts with an additional caller."""
    services = tuple(
        replace(
            service,
            methods=tuple(
                replace(method, callers=(*method.callers, name)) if method.path in granted else method
                for method in service.methods
            ),
        )
        for service in CONTRACTS.protos.services
    )
    callers = (*CONTRACTS.protos.callers, name)
    return replace(CONTRACTS, protos=replace(CONTRACTS.protos, services=services, callers=callers, **changes))


def routes(bootstrap: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    (egress,) = bootstrap["static_resources"]["listeners"]
    manager = egress["filter_chains"][0]["filters"][0]["typed_config"]
    return {host["name"]: host["routes"] for host in manager["route_config"]["virtual_hosts"]}


def test_external_caller_bootstrap_has_only_granted_egress() -> None:
    source = contracts_with_caller()
    assert external_callers.list_names(source, MESH) == ["kiosk"]
    bootstrap = external_callers.generate(source, PRODUCTION, "delivery.local", CALLEES, "kiosk")
    lint.check(source, "production/kiosk", bootstrap)
    hosts = routes(bootstrap)
    assert list(hosts) == ["partners", "default"]
    assert [route["match"] for route in hosts["partners"]] == [{"path": LIST_CATALOG}, {"prefix": "/"}]
    assert hosts["partners"][0]["route"]["retry_policy"]["num_retries"] == 2
    assert hosts["default"][0]["direct_response"]["status"] == 403
    addresses = [
        bootstrap["admin"]["address"],
        *(each["address"] for each in bootstrap["static_resources"]["listeners"]),
    ]
    assert [(each["pipe"]["path"], each["pipe"]["mode"]) for each in addresses] == [
        ("${RUN_DIR}/kiosk-admin.sock", 0o600),
        ("${RUN_DIR}/kiosk-egress.sock", 0o600),
    ]


@pytest.mark.parametrize(("profile", "service", "is_granted"), [
    (DEVELOPMENT, "partners", True), (DEVELOPMENT, "orders", False), (PRODUCTION, "partners", False),
])  # fmt: skip
def test_reflection_is_granted_only_in_development(profile: Profile, service: str, is_granted: bool) -> None:
    source = contracts_with_caller()
    ingress = sidecar.build_ingress_listener(source, profile, "delivery.local", service, MESH["sidecars"])
    reflection_routes = str([
        route
        for chain in ingress["filter_chains"]
        for route in chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
        if route["match"].get("prefix") in sidecar.REFLECTION_PREFIXES
    ])  # fmt: skip
    assert ("spiffe://delivery.local/kiosk" in reflection_routes) == is_granted
    assert "spiffe://delivery.local/gateway" not in reflection_routes


@pytest.mark.parametrize("name", [*sorted(external_callers.RESERVED_NAMES), "k", "k-osk"])
def test_reserved_or_malformed_caller_name_is_rejected(name: str) -> None:
    with pytest.raises(ContractError, match="is not a valid caller"):
        external_callers.list_names(contracts_with_caller(name), MESH)


def test_external_caller_without_grants_is_rejected() -> None:
    with pytest.raises(ContractError, match="CALLER_KIOSK has no methods; add it to the `callers`"):
        external_callers.list_names(contracts_with_caller(granted=()), MESH)


def test_external_caller_cannot_produce_events() -> None:
    first, *rest = CONTRACTS.protos.events
    source = contracts_with_caller(events=(replace(first, producer="kiosk"), *rest))
    with pytest.raises(ContractError, match="CALLER_KIOSK has no outbox"):
        external_callers.list_names(source, MESH)


def test_sidecar_without_caller_in_contract_is_rejected() -> None:
    with pytest.raises(ContractError, match="add CALLER_COURIERS to Caller"):
        external_callers.list_names(CONTRACTS, {"sidecars": [*MESH["sidecars"], "couriers"]})


def test_all_errors_of_callers_are_reported() -> None:
    first, *rest = CONTRACTS.protos.events
    source = contracts_with_caller(granted=(), events=(replace(first, producer="kiosk"), *rest))
    with pytest.raises(ContractError) as caught:
        external_callers.list_names(source, {"sidecars": [*MESH["sidecars"], "couriers"]})
    unknown, unused, producer = caught.value.messages
    assert unknown.startswith("envoy/mesh.yaml defines the sidecar couriers; add CALLER_COURIERS to Caller")
    assert "CALLER_KIOSK has no methods" in unused
    assert "CALLER_KIOSK has no outbox" in producer


def test_all_undefined_settings_are_reported() -> None:
    settings = {name: each for name, each in MESH["settings"].items() if name not in ("BIND", "RUN_DIR")}
    with pytest.raises(ContractError) as caught:
        envoy.generate(replace(CONTRACTS, mesh=MESH | {"settings": settings}))
    assert sorted(set(caught.value.messages)) == [
        f"envoy/mesh.yaml does not define the setting {name}; add it to `settings`" for name in ("BIND", "RUN_DIR")
    ]

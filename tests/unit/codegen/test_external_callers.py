"""Callers that are no service of ours: what they are given, and which contracts are refused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from codegen.contracts import ContractError, Contracts, load
from codegen.envoy import external_callers, lint, sidecar
from codegen.envoy.common import Profile
from tests.conftest import ROOT

CONTRACTS: Contracts = load(ROOT)
SERVICES = ["orders", "partners", "notifications"]
MESH = {"sidecars": ["gateway", *SERVICES, "ops"]}
LIST_CATALOG = "/delivery.partners.v1.PartnersService/ListCatalog"
DEVELOPMENT, PRODUCTION = Profile("development"), Profile("production")


def contracts(name: str = "kiosk", granted: Sequence[str] = (LIST_CATALOG,), **more: Any) -> Contracts:
    """Ours, with one more caller."""
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
    return replace(CONTRACTS, protos=replace(CONTRACTS.protos, services=services, callers=callers, **more))


def routes(bootstrap: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    (way_out,) = bootstrap["static_resources"]["listeners"]
    manager = way_out["filter_chains"][0]["filters"][0]["typed_config"]
    return {host["name"]: host["routes"] for host in manager["route_config"]["virtual_hosts"]}


def test_a_guest_has_a_way_out_to_what_it_was_granted_and_needs_no_port() -> None:
    source = contracts()
    assert external_callers.list_names(source, MESH) == ["kiosk"]
    made = external_callers.generate(source, PRODUCTION, "delivery.local", SERVICES, "kiosk")
    lint.check(source, "production/kiosk", made)
    found = routes(made)
    assert list(found) == ["partners", "elsewhere"]
    assert [route["match"] for route in found["partners"]] == [{"path": LIST_CATALOG}, {"prefix": "/"}]
    assert found["partners"][0]["route"]["retry_policy"]["num_retries"] == 2
    assert found["elsewhere"][0]["direct_response"]["status"] == 403
    addresses = [made["admin"]["address"], *(each["address"] for each in made["static_resources"]["listeners"])]
    assert [(each["pipe"]["path"], each["pipe"]["mode"]) for each in addresses] == [
        ("${RUN_DIR}/kiosk-admin.sock", 0o600),
        ("${RUN_DIR}/kiosk-egress.sock", 0o600),
    ]


@pytest.mark.parametrize(("profile", "service", "described"), [
    (DEVELOPMENT, "partners", True), (DEVELOPMENT, "orders", False), (PRODUCTION, "partners", False),
])  # fmt: skip
def test_only_in_development_who_grants_something_describes_itself(
    profile: Profile, service: str, described: bool
) -> None:
    made = str([
        route
        for chain in sidecar.ingress_listener(contracts(), profile, "delivery.local", service, MESH["sidecars"])["filter_chains"]
        for route in chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
        if route["match"].get("prefix") in sidecar.REFLECTION_PREFIXES
    ])  # fmt: skip
    assert ("spiffe://delivery.local/kiosk" in made) == described
    assert "spiffe://delivery.local/gateway" not in made


@pytest.mark.parametrize("name", [*sorted(external_callers.RESERVED_NAMES), "k", "k-osk"])
def test_a_name_that_the_mesh_needs_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match="cannot be a caller's name"):
        external_callers.list_names(contracts(name), MESH)


def test_who_may_call_nothing_is_refused() -> None:
    with pytest.raises(ContractError, match="CALLER_KIOSK may call nothing; name it in the `callers`"):
        external_callers.list_names(contracts(granted=()), MESH)


def test_a_guest_publishes_nothing() -> None:
    first, *rest = CONTRACTS.protos.events
    with pytest.raises(ContractError, match="CALLER_KIOSK has no outbox"):
        external_callers.list_names(contracts(events=(replace(first, producer="kiosk"), *rest)), MESH)


def test_a_sidecar_that_the_contract_does_not_know_is_refused() -> None:
    with pytest.raises(ContractError, match="add CALLER_COURIERS to Caller"):
        external_callers.list_names(CONTRACTS, {"sidecars": [*MESH["sidecars"], "couriers"]})

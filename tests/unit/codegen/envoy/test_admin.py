"""Admin interface in both profiles."""

import re

import pytest

from codegen.envoy import admin
from codegen.envoy.common import Config, Profile

DEVELOPMENT, PRODUCTION = Profile("development"), Profile("production")
VALUES = {"${ADMIN_BIND}": "10.0.0.1", "${ORDERS_ADMIN_PORT}": "9902"}


def is_forwarded(**headers: str) -> bool:
    """Return whether the listener forwards a request with these headers."""
    (listener,) = admin.build_admin_listeners("orders", DEVELOPMENT)
    manager: Config = listener["filter_chains"][0]["filters"][0]["typed_config"]
    route, denied = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert denied["direct_response"]["status"] == 403
    for matcher in route["match"]["headers"]:
        regex = matcher["string_match"]["safe_regex"]["regex"]
        for placeholder, value in VALUES.items():
            regex = regex.replace(placeholder, value)
        if not re.fullmatch(regex, headers.get(matcher["name"].strip(":").replace("-", "_"), "")):
            return False
    return True


def test_production_admin_listens_on_loopback_only() -> None:
    address = admin.build_admin_address("orders", PRODUCTION)["socket_address"]
    assert address == {"address": "127.0.0.1", "port_value": "${ORDERS_ADMIN_PORT}"}
    assert admin.build_admin_listeners("orders", PRODUCTION) == []


def test_development_admin_is_accessible_to_its_owner_only() -> None:
    assert admin.build_admin_address("orders", DEVELOPMENT)["pipe"]["mode"] == 0o600
    (listener,) = admin.build_admin_listeners("orders", DEVELOPMENT)
    assert listener["drain_type"] == "MODIFY_ONLY"
    assert "traffic_direction" not in listener


@pytest.mark.parametrize("authority", ["localhost", "localhost:9902", "127.0.0.1:1", "[::1]", "10.0.0.1:9902"])
def test_local_host_is_forwarded(authority: str) -> None:
    assert is_forwarded(authority=authority)
    assert is_forwarded(authority=authority, sec_fetch_site="same-origin", origin="http://localhost:9902")


@pytest.mark.parametrize("authority", ["", "evil.example", "localhost.evil.example", "127x0.0.1", "localhost:"])
def test_foreign_host_is_denied(authority: str) -> None:
    assert not is_forwarded(authority=authority)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "null"},
        {"origin": "http://localhost:5173"},
        {"origin": "https://localhost:9902"},
    ],
    ids=str,
)
def test_request_of_another_site_is_denied(headers: dict[str, str]) -> None:
    assert not is_forwarded(authority="localhost", **headers)

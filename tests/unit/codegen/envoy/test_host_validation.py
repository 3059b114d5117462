"""Hosts that the edge accepts: those of one Host header without user information."""

import re

import pytest

from codegen.envoy.host_validation import build_invalid_host_route


def is_rejected(host: str) -> bool:
    """Return whether Envoy selects the route for a request with this host."""
    (header,) = build_invalid_host_route()["match"]["headers"]
    is_valid = re.fullmatch(header["string_match"]["safe_regex"]["regex"], host) is not None
    assert header["invert_match"]
    return not is_valid


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1:8080", "api.delivery.test", "my_gateway", "[::1]", "[2001:db8::1]:443", "", "edge:"],
)
def test_host_with_optional_port_is_valid(host: str) -> None:
    assert not is_rejected(host)


@pytest.mark.parametrize(
    "host",
    ["edge,edge", "edge, other", "user@edge", "user:password@edge:80", "edge/path", "edge?q", "edge#f", "e:80:81"],
)
def test_several_hosts_and_user_information_are_rejected(host: str) -> None:
    assert is_rejected(host)


def test_rejection_needs_no_token() -> None:
    route = build_invalid_host_route()
    assert route["direct_response"] == {"status": 400}
    assert "jwt" in route["typed_per_filter_config"]

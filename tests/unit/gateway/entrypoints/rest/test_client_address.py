"""Tests of the client address of a request."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.entrypoints.rest.client_address import parse_client_address

ADDRESSES = st.ip_addresses(v=4).map(str)


@pytest.mark.parametrize(
    ("forwarded_for", "trusted_hops", "address"),
    [
        ("192.0.2.1", 0, "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1", 0, "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1", 1, "10.0.0.1"),
        ("192.0.2.1", 3, "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", 0, "192.0.2.1"),
        ("", 0, "unknown"),
        (" , ", 0, "unknown"),
        ("not-an-address", 0, "unknown"),
    ],
)
def test_client_address_is_the_entry_of_the_trusted_hop(forwarded_for: str, trusted_hops: int, address: str) -> None:
    assert parse_client_address(forwarded_for, trusted_hops) == address


@given(st.lists(ADDRESSES), ADDRESSES, st.lists(ADDRESSES, max_size=5))
def test_client_cannot_spoof_address(spoofed: list[str], address: str, proxies: list[str]) -> None:
    forwarded_for = ", ".join([*spoofed, address, *proxies])
    assert parse_client_address(forwarded_for, len(proxies)) == address


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_ipv6_addresses_of_one_prefix_are_equal(address: ipaddress.IPv6Address, interface_id: int) -> None:
    if address.ipv4_mapped:
        return
    neighbour = ipaddress.IPv6Address((int(address) >> 64 << 64) | interface_id)
    if neighbour.ipv4_mapped:
        return
    assert parse_client_address(str(address), 0) == parse_client_address(str(neighbour), 0)

"""Whose guess it is."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.adapters.login_rate_limiter import parse_client_address

ADDRESSES = st.ip_addresses(v=4).map(str)


@pytest.mark.parametrize(
    ("header", "hops", "address"),
    [
        ("192.0.2.1", 0, "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1", 0, "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1", 1, "10.0.0.1"),
        ("192.0.2.1", 3, "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", 0, "192.0.2.1"),
        ("", 0, "unknown"),
        (" , ", 0, "unknown"),
        ("somebody", 0, "unknown"),
    ],
)
def test_the_last_proxy_of_ours_says(header: str, hops: int, address: str) -> None:
    assert parse_client_address(header, hops) == address


@given(st.lists(ADDRESSES), ADDRESSES, st.lists(ADDRESSES, max_size=5))
def test_a_client_cannot_say_who_it_is(said: list[str], real: str, proxies: list[str]) -> None:
    header = ", ".join([*said, real, *proxies])
    assert parse_client_address(header, len(proxies)) == real


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_household_has_one_counter(address: ipaddress.IPv6Address, other: int) -> None:
    if address.ipv4_mapped:
        return
    neighbour = ipaddress.IPv6Address((int(address) >> 64 << 64) | other)
    if neighbour.ipv4_mapped:
        return
    assert parse_client_address(str(address), 0) == parse_client_address(str(neighbour), 0)

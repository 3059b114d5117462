"""Protection of gRPC apps from malformed and unfinished calls."""

import re

import pytest

from codegen.envoy.grpc_requests import (
    BINARY_HEADER_SUFFIX,
    PARSED_HEADERS,
    UNUSED_HEADERS,
    build_malformed_header_routes,
    limit_duration,
    strip_call_headers,
)


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ("1S", True),
        ("99999999n", True),
        ("300m", True),
        ("123456789S", False),
        ("abc", False),
        ("1", False),
        ("", False),
    ],
)
def test_timeout_has_the_form_of_the_grpc_protocol(value: str, is_valid: bool) -> None:
    assert bool(re.fullmatch(PARSED_HEADERS["grpc-timeout"], value)) == is_valid


@pytest.mark.parametrize("is_authorized", [True, False])
def test_route_matches_present_headers_with_another_value(is_authorized: bool) -> None:
    for route, name in zip(build_malformed_header_routes(is_authorized=is_authorized), PARSED_HEADERS, strict=True):
        present, other = route["match"]["headers"]
        assert present == {"name": name, "present_match": True}
        assert (other["name"], other["invert_match"]) == (name, True)
        assert route["direct_response"]["status"] == 400
        assert ("typed_per_filter_config" in route) == is_authorized


def test_headers_that_no_app_reads_are_removed() -> None:
    (strip,) = strip_call_headers()
    mutations = strip["typed_config"]["mutations"]
    assert {each["remove"] for each in mutations if "remove" in each} == set(UNUSED_HEADERS)
    assert any(BINARY_HEADER_SUFFIX in str(each) for each in mutations)


def test_duration_limits_the_deadline_of_the_caller_too() -> None:
    assert limit_duration("5s") == {
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": "5s", "grpc_timeout_header_max": "5s"},
    }

"""Filters that normalise the authentication scheme."""

import re

import pytest

from codegen.envoy.bearer_scheme import METADATA_KEY, METADATA_NAMESPACE, SCHEME_PATTERN, build_bearer_scheme_filters


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bearer abc", "Bearer abc"),
        ("BEARER   abc", "Bearer abc"),
        ("Bearer abc", "Bearer abc"),
        ("Basic abc", "Basic abc"),
        ("xbearer abc", "xbearer abc"),
        ("bearerabc", "bearerabc"),
    ],
)
def test_only_the_bearer_scheme_is_rewritten(value: str, expected: str) -> None:
    assert re.sub(SCHEME_PATTERN, "Bearer ", value) == expected


def test_header_is_replaced_by_the_computed_value() -> None:
    compute, replace = (each["typed_config"] for each in build_bearer_scheme_filters())
    (rule,) = compute["request_rules"]
    target = rule["on_header_present"]
    assert (target["metadata_namespace"], target["key"]) == (METADATA_NAMESPACE, METADATA_KEY)
    (mutation,) = replace["mutations"]["request_mutations"]
    assert mutation["append"]["append_action"] == "OVERWRITE_IF_EXISTS"
    assert mutation["append"]["header"] == {"key": rule["header"], "value": "%DYNAMIC_METADATA(bearer:authorization)%"}

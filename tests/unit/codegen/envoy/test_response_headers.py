"""Headers that the edge adds to responses."""

import re

import pytest

from codegen.contracts import HTTP_METHODS, Contracts
from codegen.envoy import response_headers
from codegen.envoy.common import Config
from codegen.envoy.response_headers import CORS_EXPOSED_HEADERS, RESTRICTIONS
from codegen.rest.published_openapi import publish_document

SAFELISTED = {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified"}
"""Response headers that scripts of every origin may read (Fetch, CORS-safelisted response-header names)."""


def added(filter_config: Config) -> dict[str, Config]:
    mutations = filter_config["typed_config"]["mutations"]["response_mutations"]
    return {each["append"]["header"]["key"]: each["append"] for each in mutations}


def test_internal_trace_header_is_removed_from_responses() -> None:
    added = [each["header"]["key"] for each in response_headers.build_trace_response_headers()]
    assert added == ["traceresponse", "x-trace-id"]
    remove, append = response_headers.build_trace_filter()["typed_config"]["mutations"]["response_mutations"]
    assert remove == {"remove": "x-trace-id"}
    assert (append["append"]["header"]["key"], append["append"]["append_action"]) == ("traceresponse", "ADD_IF_ABSENT")


@pytest.mark.parametrize("is_tls", [False, True])
def test_hsts_is_sent_over_tls_only(is_tls: bool) -> None:
    headers = added(response_headers.build_restrictions_filter(is_tls=is_tls))
    assert ("strict-transport-security" in headers) == is_tls
    assert headers.keys() >= {"vary", *RESTRICTIONS}


def test_restrictions_do_not_replace_those_of_a_response() -> None:
    headers = added(response_headers.build_restrictions_filter(is_tls=True))
    assert {headers[name]["append_action"] for name in RESTRICTIONS} == {"ADD_IF_ABSENT"}
    assert headers["vary"]["append_action"] == "APPEND_IF_EXISTS_OR_ADD"


def test_error_headers_include_cors_and_restrictions() -> None:
    headers = {each["header"]["key"]: each["append_action"] for each in response_headers.build_error_headers()}
    names = {"access-control-allow-origin", "access-control-expose-headers", "vary"}
    assert headers == dict.fromkeys(names | RESTRICTIONS.keys(), "ADD_IF_ABSENT")


def test_every_header_of_the_published_contract_is_exposed(repository_contracts: Contracts) -> None:
    published = publish_document(repository_contracts.openapi["delivery"])
    shared = published["components"]["responses"]
    operations = (item[method] for item in published["paths"].values() for method in item.keys() & set(HTTP_METHODS))
    responses = [*shared.values(), *(each for operation in operations for each in operation["responses"].values())]
    declared = {name.lower() for response in responses for name in response.get("headers", {})}
    assert {"accept", "accept-patch", "etag"} <= declared
    assert declared - SAFELISTED - {*CORS_EXPOSED_HEADERS.lower().split(", ")} == set()


def test_origin_of_an_error_is_compared_as_a_whole() -> None:
    value = response_headers.build_error_headers()[0]["header"]["value"]
    pattern = re.search(r"matches\(r'(.*?)'\)", value)
    assert pattern is not None
    assert pattern[1] == r"^(?:${ALLOWED_ORIGINS})\z"

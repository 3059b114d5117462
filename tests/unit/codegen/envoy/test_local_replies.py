"""Problem details of Envoy's local replies."""

import re
from typing import Any

import pytest

from codegen.contracts import Contracts
from codegen.envoy import local_replies
from codegen.envoy.common import Config
from codegen.envoy.local_replies import REASON_BY_STATUS, build_problem_body
from codegen.rest.problem_examples import SHARED_REASONS, TOKEN_REASONS
from tests.unit.codegen.sample_contracts import create_openapi

CATALOGUE: dict[str, Any] = create_openapi()["x-problems"]
MAPPERS = local_replies.build_local_replies(CATALOGUE)["mappers"]
AUDIENCE, CONTRACT, INVALID, INTERNAL = MAPPERS
COMPARE = {"EQ": int.__eq__, "GE": int.__ge__, "LE": int.__le__}


def is_matched(condition: Config, status: int, filter_name: str) -> bool:
    """Evaluate the filter of a mapper for the reply of an HTTP filter."""
    match condition:
        case {"and_filter": {"filters": filters}}:
            return all(is_matched(each, status, filter_name) for each in filters)
        case {"or_filter": {"filters": filters}}:
            return any(is_matched(each, status, filter_name) for each in filters)
        case {"status_code_filter": {"comparison": {"op": operator, "value": value}}}:
            return COMPARE[operator](status, value["default_value"])
    details = re.match(
        r"response\.code_details\.startsWith\('(\w+)'\)", condition["extension_filter"]["typed_config"]["expression"]
    )
    assert details is not None
    return filter_name.startswith(details[1])


def find_mapper(status: int, filter_name: str = "") -> Config | None:
    """Return the first mapper that matches a reply, which Envoy applies."""
    return next((each for each in MAPPERS if is_matched(each["filter"], status, filter_name)), None)


def evaluate(text: str, status: int) -> str:
    """Evaluate the format of a text that depends on the status of the reply."""
    prefix, _, expression = text.removesuffix(")%").partition("%CEL(")
    *conditional, last = expression.split(" : ")
    for each in conditional:
        condition, _, value = each.partition(" ? ")
        if condition == f"response.code == {status}":
            return prefix + value.strip('"')
    return prefix + last.strip('"')


def headers(mapper: Config) -> dict[str, str]:
    return {each["header"]["key"]: each["header"]["value"] for each in mapper["headers_to_add"]}


def body(mapper: Config) -> Config:
    fields: Config = mapper["body_format_override"]["json_format"]
    return fields


@pytest.mark.parametrize("status", [status for status in REASON_BY_STATUS if status not in (403, 501)])
def test_reply_with_a_status_of_the_contract_has_its_reason(status: int) -> None:
    mapper = find_mapper(status)
    assert mapper is CONTRACT
    assert "status_code" not in mapper
    reason = REASON_BY_STATUS[status]
    assert CATALOGUE[reason]["status"] == status
    assert evaluate(body(mapper)["reason"], status) == reason
    assert evaluate(body(mapper)["type"], status) == f"/problems/{reason}"
    assert evaluate(body(mapper)["title"], status) == CATALOGUE[reason]["title"]


@pytest.mark.parametrize("status", REASON_BY_STATUS)
def test_only_temporary_errors_have_retry_after(status: int) -> None:
    mapper = find_mapper(status, "rbac")
    assert mapper is not None
    assert evaluate(headers(mapper).get("retry-after", ""), status) == {429: "1", 503: "2"}.get(status, "")


@pytest.mark.parametrize("mapper", MAPPERS)
def test_early_rejection_has_request_and_trace_id(mapper: Config) -> None:
    assert {"x-request-id", "x-trace-id", "traceresponse"} <= headers(mapper).keys()
    early = [each for each in mapper["headers_to_add"] if each["header"]["key"] != "www-authenticate"]
    assert {each["append_action"] for each in early} == {"ADD_IF_ABSENT"}


def test_generated_trace_ids_have_the_length_of_w3c() -> None:
    """START_TIME in nanoseconds has 19 digits, and its subsecond part has 9."""
    values = headers(CONTRACT)
    trace_id = values["x-trace-id"].replace(local_replies.START_TIME_NS, "1" * 19)
    response = values["traceresponse"].replace(local_replies.START_TIME_NS, "1" * 19)
    response = response.replace(local_replies.START_TIME_SUBSECOND_NS, "2" * 9)
    version, response_trace_id, span_id, flags = response.split("-")
    assert (len(trace_id), len(span_id), version, flags) == (32, 16, "00", "00")
    assert response_trace_id == trace_id


@pytest.mark.parametrize(
    ("filter_name", "status", "reason"),
    [("jwt_authn", 401, "UNAUTHENTICATED"), ("rbac", 403, "FORBIDDEN"), ("", 400, "INVALID_REQUEST")],
)
def test_reason_of_a_403_depends_on_its_filter(filter_name: str, status: int, reason: str) -> None:
    mapper = find_mapper(403, filter_name)
    assert mapper is not None
    assert mapper.get("status_code", 403) == status
    assert evaluate(body(mapper)["reason"], status) == reason
    assert headers(mapper).get("www-authenticate") == ('Bearer error="invalid_token"' if status == 401 else None)


@pytest.mark.parametrize(
    ("status", "replacing", "reason"),
    [
        (418, 400, "INVALID_REQUEST"),
        (431, 400, "INVALID_REQUEST"),
        (501, 400, "INVALID_REQUEST"),
        (505, 500, "INTERNAL"),
    ],
)
def test_statuses_outside_the_contract_are_replaced(status: int, replacing: int, reason: str) -> None:
    mapper = find_mapper(status)
    assert mapper is not None
    assert mapper["status_code"] == replacing
    assert evaluate(body(mapper)["reason"], replacing) == reason


@pytest.mark.parametrize("status", [200, 301, 308])
def test_reply_without_an_error_is_unchanged(status: int) -> None:
    assert find_mapper(status) is None


def test_body_contains_the_catalogue_entry() -> None:
    problem_body = build_problem_body({404: "NOT_FOUND"}, CATALOGUE)
    detail = problem_body["json_format"].pop("detail")
    assert detail.endswith(r""" ? ("100 \x25 'NOT_FOUND'.") : ("100\x25 NOT_FOUND."))%""")
    assert problem_body == {
        "content_type": "application/problem+json",
        "json_format": {
            "type": '/problems/%CEL("NOT_FOUND")%',
            "title": '%CEL("Title of NOT_FOUND")%',
            "status": "%RESPONSE_CODE%",
            "reason": '%CEL("NOT_FOUND")%',
            "trace_id": "%RESP(X-TRACE-ID)%",
        },
    }


def test_detail_depends_on_status_and_language() -> None:
    detail = build_problem_body({404: "NOT_FOUND", 500: "INTERNAL"}, CATALOGUE)["json_format"]["detail"]
    german = r'''response.code == 404 ? "100 \x25 'NOT_FOUND'." : "100 \x25 'INTERNAL'."'''
    english = r'response.code == 404 ? "100\x25 NOT_FOUND." : "100\x25 INTERNAL."'
    assert detail.endswith(f" ? ({german}) : ({english}))%")


def test_reason_of_a_status_has_it_in_the_contract(repository_contracts: Contracts) -> None:
    catalogue = repository_contracts.openapi["delivery"]["x-problems"]
    statuses = {status: catalogue[reason]["status"] for status, reason in REASON_BY_STATUS.items()}
    assert statuses == {status: 400 if status == 501 else status for status in REASON_BY_STATUS}


def test_reasons_of_the_edge_are_published_reasons() -> None:
    published = {int(status): reason for status, reason in SHARED_REASONS.items()}
    edge = REASON_BY_STATUS
    assert {status: edge[status] for status in published.keys() & edge.keys()} == {
        status: published[status] for status in published.keys() & edge.keys()
    }
    assert edge[401] in TOKEN_REASONS


def test_reason_missing_in_the_catalogue_raises_key_error() -> None:
    with pytest.raises(KeyError, match="FORBIDDEN"):
        local_replies.build_local_replies({name: each for name, each in CATALOGUE.items() if name != "FORBIDDEN"})

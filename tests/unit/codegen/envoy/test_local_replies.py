"""Problem details of Envoy's local replies."""

from typing import Any

import pytest

from codegen.contracts import Contracts
from codegen.envoy import local_replies
from codegen.envoy.common import Config
from codegen.envoy.local_replies import REASON_BY_STATUS, build_problem_body
from codegen.rest.problem_examples import SHARED_REASONS, TOKEN_REASONS
from tests.unit.codegen.sample_contracts import create_openapi

CATALOGUE: dict[str, Any] = create_openapi()["x-problems"]
AUDIENCE, ROLE, *OTHERS = local_replies.build_local_replies(CATALOGUE)["mappers"]
MAPPERS, BOUNDS = OTHERS[:-2], OTHERS[-2:]
STATUSES = {status: CATALOGUE[reason]["status"] for status, reason in REASON_BY_STATUS.items()}


def comparison(mapper: Config) -> Config:
    config: Config = mapper["filter"]["status_code_filter"]["comparison"]
    return config


def matched_status(mapper: Config) -> int:
    status: int = comparison(mapper)["value"]["default_value"]
    return status


MAPPERS_BY_STATUS = {matched_status(mapper): mapper for mapper in MAPPERS} | {403: ROLE}


def headers(mapper: Config) -> dict[str, str]:
    return {each["header"]["key"]: each["header"]["value"] for each in mapper["headers_to_add"]}


def body(mapper: Config) -> Config:
    fields: Config = mapper["body_format_override"]["json_format"]
    return fields


def test_every_status_has_one_mapper() -> None:
    assert len(MAPPERS_BY_STATUS) == len(MAPPERS) + 1
    assert {comparison(mapper)["op"] for mapper in MAPPERS} == {"EQ"}
    assert MAPPERS_BY_STATUS.keys() == REASON_BY_STATUS.keys()


@pytest.mark.parametrize("status", REASON_BY_STATUS)
def test_status_of_response_and_body_are_equal(status: int) -> None:
    mapper = MAPPERS_BY_STATUS[status]
    assert mapper["status_code"] == body(mapper)["status"] == STATUSES[status]
    assert body(mapper)["reason"] == REASON_BY_STATUS[status]


@pytest.mark.parametrize("status", REASON_BY_STATUS)
def test_only_temporary_errors_have_retry_after(status: int) -> None:
    assert headers(MAPPERS_BY_STATUS[status]).get("retry-after") == {429: "1", 503: "2"}.get(status)


@pytest.mark.parametrize("status", REASON_BY_STATUS)
def test_early_rejection_has_request_and_trace_id(status: int) -> None:
    mapper = MAPPERS_BY_STATUS[status]
    assert {"x-request-id", "x-trace-id", "traceresponse"} <= headers(mapper).keys()
    early = [each for each in mapper["headers_to_add"] if each["header"]["key"] != "retry-after"]
    assert {each["append_action"] for each in early} == {"ADD_IF_ABSENT"}


def test_generated_trace_ids_have_the_length_of_w3c() -> None:
    """START_TIME in nanoseconds has 19 digits, and its subsecond part has 9."""
    values = headers(MAPPERS_BY_STATUS[400])
    trace_id = values["x-trace-id"].replace(local_replies.START_TIME_NS, "1" * 19)
    response = values["traceresponse"].replace(local_replies.START_TIME_NS, "1" * 19)
    response = response.replace(local_replies.START_TIME_SUBSECOND_NS, "2" * 9)
    version, response_trace_id, span_id, flags = response.split("-")
    assert (len(trace_id), len(span_id), version, flags) == (32, 16, "00", "00")
    assert response_trace_id == trace_id


@pytest.mark.parametrize(
    ("mapper", "filter_name", "reason", "status"),
    [(AUDIENCE, "jwt_authn", "UNAUTHENTICATED", 401), (ROLE, "rbac", "FORBIDDEN", 403)],
)
def test_reason_of_a_403_depends_on_its_filter(mapper: Config, filter_name: str, reason: str, status: int) -> None:
    status_filter, details_filter = mapper["filter"]["and_filter"]["filters"]
    assert matched_status({"filter": status_filter}) == 403
    expression = details_filter["extension_filter"]["typed_config"]["expression"]
    assert f"response.code_details.startsWith('{filter_name}')" in expression
    assert mapper["status_code"] == body(mapper)["status"] == status
    assert body(mapper)["reason"] == reason
    assert headers(mapper).get("www-authenticate") == ('Bearer error="invalid_token"' if status == 401 else None)


def test_statuses_outside_the_contract_are_replaced() -> None:
    replaced = [(comparison(mapper)["op"], matched_status(mapper), mapper["status_code"]) for mapper in BOUNDS]
    assert replaced == [("GE", 500, 500), ("GE", 400, 400)]
    assert [body(mapper)["reason"] for mapper in BOUNDS] == ["INTERNAL", "INVALID_REQUEST"]
    assert STATUSES[501] == 400


def test_body_contains_the_catalogue_entry() -> None:
    problem_body = build_problem_body("NOT_FOUND", CATALOGUE, 404)
    detail = problem_body["json_format"].pop("detail")
    assert detail.endswith(r""" ? "100 \x25 'NOT_FOUND'." : "100\x25 NOT_FOUND.")%""")
    assert problem_body == {
        "content_type": "application/problem+json",
        "json_format": {
            "type": "/problems/NOT_FOUND",
            "title": "Title of NOT_FOUND",
            "status": 404,
            "reason": "NOT_FOUND",
            "trace_id": "%RESP(X-TRACE-ID)%",
        },
    }


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

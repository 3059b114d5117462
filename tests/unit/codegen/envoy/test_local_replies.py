"""Problem details of Envoy's local replies."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.contracts import Contracts
from codegen.envoy import local_replies
from codegen.envoy.common import Config
from codegen.envoy.local_replies import LANGUAGE_FORMAT, REASON_BY_STATUS, build_problem_body
from codegen.rest.problem_examples import SHARED_REASONS, TOKEN_REASONS
from services.runtime.core.localisation import select_language
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


ACCEPT_LANGUAGE = [
    ("", "en"),
    ("fr", "en"),
    ("den", "en"),
    ("en", "en"),
    ("de", "de"),
    ("DE-at", "de"),
    ("de, en", "en"),
    ("en;q=0.5, de;q=0.5", "en"),
    ("de-DE,de;q=0.9,en;q=0.8", "de"),
    ("fr, de;q=0.5, en;q=0.3", "de"),
    ("fr, de;q=0.1", "de"),
    ("fr, de;q=0.001", "de"),
    ("en-US,en;q=0.9,de;q=0.8", "en"),
    ("en-US,en;q=0.8,de;q=0.9", "en"),
    ("en;q=0.5, de;q=0.9", "de"),
    ("en;q=0.3,de-AT;q=0.2,de;q=0.75", "de"),
    ("en ; q = 0.899 , de ; q = 0.9", "de"),
    ("en;q=0.999, de;q=1.000", "de"),
    ("de;q=0.2, en", "en"),
    ("de;q=0.2, en;q=1.0", "en"),
    ("de;q=0, en", "en"),
    ("de;q=0.0", "en"),
    ("de;q=0.000, en;q=0", "en"),
    ("en;q=0, de", "de"),
    ("en;q=0.0, de;q=0.01", "de"),
    ("en;q=9, de;q=0.3", "de"),
    ("de;q=9, en;q=0.3", "en"),
]


def choose_language(accept_language: str) -> str:
    """Return the language that LANGUAGE_FORMAT yields: pairs of patterns for German and English."""
    patterns = re.findall(r"\.matches\(r'\^(.+?)\\z'\)", LANGUAGE_FORMAT)
    matches = [re.fullmatch(pattern, accept_language) is not None for pattern in patterns]
    german, english = matches[::2], matches[1::2]
    (is_accepted, *is_preferred) = (de and not en for de, en in zip(german, english, strict=True))
    return "de" if is_accepted and any(is_preferred) else "en"


@pytest.mark.parametrize(("accept_language", "language"), ACCEPT_LANGUAGE)
def test_edge_chooses_the_same_language_as_services(accept_language: str, language: str) -> None:
    assert select_language(accept_language) == language
    assert choose_language(accept_language) == language


@given(st.lists(st.tuples(st.sampled_from(["de", "de-AT", "en", "en-GB", "fr"]), st.integers(0, 10)), max_size=4))
def test_weights_in_tenths_are_compared_as_in_services(ranges: list[tuple[str, int]]) -> None:
    accept_language = ", ".join(f"{language};q={weight / 10}" for language, weight in ranges)
    assert choose_language(accept_language) == select_language(accept_language)


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

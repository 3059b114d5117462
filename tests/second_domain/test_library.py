"""A second domain, a library with titles and loans: contracts, mesh, events and metrics of its own."""

import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.fuzz.schemathesis_runner import run_schemathesis
from tests.second_domain.conftest import METRICS_URL, Library
from tests.wait import wait_until

OTHER_DOMAIN = "delivery"
AMQP_TERMS = ("x-delivery-limit", "redelivery", "delivery: MessageMetadata", "Delivery is unordered", "Delivery is at")
"""Texts in which the word stands for the delivery of a message."""

pytestmark = pytest.mark.timeout(300)  # the fixture runs a page, which starts a mesh


def test_generated_code_has_no_drift_and_no_missing_handler(library: Library) -> None:
    assert library.run("codegen", "check") == ""


def test_contracts_pass_the_checks_of_protobuf_files(library: Library) -> None:
    assert library.run("codegen.checks", "check", "proto-lint", "proto-format") == ""


def test_generated_files_do_not_name_the_domain_of_the_repository(library: Library) -> None:
    suffixes = (".json", ".md", ".py", ".ts", ".yaml", ".yml")
    paths = [path for path in (library.doc_run.root / "generated").rglob("*") if path.suffix in suffixes]
    assert len(paths) > 50
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for term in AMQP_TERMS:
            text = text.replace(term, "")
        assert OTHER_DOMAIN not in text.lower(), path


def count_loans(edge: httpx.Client, title_id: str) -> int:
    titles = {title["id"]: title for title in edge.get("/titles").json()["items"]}
    return int(titles[title_id]["loans"])


def test_event_of_a_loan_reaches_the_other_service(library: Library, edge: httpx.Client) -> None:
    before = count_loans(edge, "emma")
    headers = library.build_headers()
    created = edge.post("/loans", json={"title_id": "emma"}, headers=headers)
    assert created.status_code == 201
    loan = edge.get(created.headers["location"].removeprefix("/api/v1"), headers=headers)
    assert loan.json() == created.json()
    wait_until(lambda: count_loans(edge, "emma") == before + 1, 10, description="the loan is counted")


def test_loan_is_visible_to_its_reader_only(library: Library, edge: httpx.Client) -> None:
    created = edge.post("/loans", json={"title_id": "emma"}, headers=library.build_headers("ada"))
    response = edge.get(f"/loans/{created.json()['id']}", headers=library.build_headers("grace"))
    assert (response.status_code, response.json()["reason"]) == (404, "LOAN_NOT_FOUND")


@pytest.mark.parametrize("role", ["librarian", None])
def test_other_role_is_forbidden(library: Library, edge: httpx.Client, role: str | None) -> None:
    response = edge.post("/loans", json={"title_id": "emma"}, headers=library.build_headers(role=role))
    assert (response.status_code, response.json()["reason"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("role", ["reader", None])
def test_optional_token_may_be_absent_but_not_invalid(library: Library, edge: httpx.Client, role: str | None) -> None:
    headers = library.build_headers(role=role)
    for permitted in ({}, headers):
        response = edge.get("/titles", headers=permitted)
        assert response.status_code == 200
        assert "Authorization" in response.headers["vary"].split(",")
    token = headers["authorization"]
    for invalid in ("Bearer x", token[:-8], token.replace(".", ".e30.")):
        response = edge.get("/titles", headers={"authorization": invalid})
        assert (response.status_code, response.json()["reason"]) == (401, "UNAUTHENTICATED"), invalid


def test_metrics_have_the_prefix_of_the_mesh(library: Library, edge: httpx.Client) -> None:
    assert edge.get("/titles").is_success
    text = httpx.get(METRICS_URL, trust_env=False).text
    assert "library_outbox_pending_events" in text
    assert OTHER_DOMAIN not in text


def test_operations_conform_to_their_contract(library: Library, tmp_path: Path) -> None:
    environment = library.doc_run.environment | {
        "EDGE": library.doc_run.edge_url,
        "FUZZ_TOKENS": json.dumps({"reader": library.create_token("ada")}),
        "FUZZ_SECURITY": json.dumps({"startLoan": ["reader"], "getLoan": ["reader"]}),
        "PYTHONPATH": str(ROOT),
    }
    run_schemathesis(f"{library.doc_run.edge_url}/openapi.json", environment, tmp_path, "--max-examples", "5")

"""Result of docs/add-a-service.md, tested through the edge in addition to the tests that the page runs."""

from collections.abc import Iterator

import httpx
import pytest

from tests.docs.conftest import DocRun, run_page

pytestmark = pytest.mark.timeout(400)  # the fixture runs the page, which starts a mesh


@pytest.fixture(scope="module")
def doc_run() -> Iterator[DocRun]:
    with run_page("add-a-service.md") as doc_run:
        yield doc_run


def test_added_service_is_published_and_protected(doc_run: DocRun) -> None:
    with httpx.Client(base_url=doc_run.edge_url, timeout=20, trust_env=False) as edge:
        document = edge.get("/openapi.json").json()
        assert document["paths"]["/users/me/points"]["get"]["operationId"] == "getBalance"
        assert edge.get("/api/v1/users/me/points").status_code == 401
    reference = (doc_run.root / "generated/docs/reference.md").read_text(encoding="utf-8")
    assert "GetBalance" in reference
    assert "loyalty.orders" in reference

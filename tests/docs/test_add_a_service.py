"""Result of docs/add-a-service.md, tested through the edge in addition to the tests that the page runs."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ROOT
from tests.docs.conftest import DocRun, run_page

NAME = "loyaltytwo" if (ROOT / "services/loyalty").is_dir() else "loyalty"
"""Name of the service: another one in a repository to which the page's service was added."""

pytestmark = pytest.mark.timeout(400)  # the fixture runs the page, which starts a mesh


@pytest.fixture(scope="module")
def doc_run() -> Iterator[DocRun]:
    with run_page("add-a-service.md", {"loyalty": NAME, "Loyalty": NAME.capitalize()}) as doc_run:
        yield doc_run


def test_added_service_is_published_and_protected(doc_run: DocRun) -> None:
    with httpx.Client(base_url=doc_run.edge_url, timeout=20, trust_env=False) as edge:
        document = edge.get("/openapi.json").json()
        assert document["paths"]["/users/me/points"]["get"]["operationId"] == "getBalance"
        assert edge.get("/api/v1/users/me/points").status_code == 401
    reference = (doc_run.root / "generated/docs/reference.md").read_text(encoding="utf-8")
    assert "GetBalance" in reference
    assert f"{NAME}.orders" in reference

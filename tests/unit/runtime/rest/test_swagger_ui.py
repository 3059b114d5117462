"""Swagger UI: every file that the page loads is served by this process."""

import re
from pathlib import Path

import pytest

from services.runtime.rest.swagger_ui import load_swagger_ui

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Folder of an npm package with the required files."""
    for name in FILES:
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def test_page_loads_only_served_files(package: Path) -> None:
    documents = load_swagger_ui(package)
    page = documents["/docs"].content.decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 4
    assert {*loaded} <= documents.keys()
    assert "<script>" not in page, "the content security policy forbids inline scripts"


@pytest.mark.parametrize("path", ["/docs/", "/docs/index.html"])
def test_page_is_served_at_every_usual_path(package: Path, path: str) -> None:
    documents = load_swagger_ui(package)
    assert documents[path] == documents["/docs"]


def test_files_of_the_package_are_served_unchanged(package: Path) -> None:
    documents = load_swagger_ui(package)
    assert {name: documents[f"/docs/{name}"].content.decode() for name in FILES} == {name: name for name in FILES}
    assert documents["/docs/swagger-ui.css"].media_type == "text/css; charset=utf-8"


def test_script_shows_the_published_document_and_no_validator_badge(package: Path) -> None:
    script = load_swagger_ui(package)["/docs/start.js"].content.decode()
    assert 'url: "/openapi.json"' in script
    assert "validatorUrl: null" in script, "the badge would send the document's URL to a third party"


@pytest.mark.parametrize("name", FILES)
def test_missing_file_of_the_package_fails_at_startup(package: Path, name: str) -> None:
    (package / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_swagger_ui(package)

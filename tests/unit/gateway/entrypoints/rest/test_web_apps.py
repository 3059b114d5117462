"""Documents of the web apps: pages, assets, configuration and the start page."""

import re
from pathlib import Path

import msgspec
import pytest

from services.gateway.entrypoints.rest.web_apps import AppConfig, load_web_apps
from services.runtime.rest.static_documents import Document
from services.runtime.rest.types import BinaryResponse, Response

FIREBASE = {"apiKey": "key", "vapidKey": "vapid"}
PAGE = '<!doctype html><title>Shop &amp; more</title><script type="module" src="/shop/assets/index-1.js"></script>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of one built app."""
    assets = tmp_path / "shop" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "shop" / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / ".checksum").write_text("x", encoding="utf-8")
    for name in ("index-1.js", "index-1.css", "icon-1.svg"):
        (assets / name).write_text(name, encoding="utf-8")
    return tmp_path


def get_response(documents: dict[str, Document], path: str) -> Response[BinaryResponse]:
    document = documents[path]
    assert isinstance(document, Response)
    return document


def test_every_file_of_an_app_is_served(folder: Path) -> None:
    documents = load_web_apps(folder, AppConfig(), "delivery")
    assets = {f"/shop/assets/{name}" for name in ("index-1.js", "index-1.css", "icon-1.svg")}
    assert documents.keys() == {"/", "/apps.json", "/shop", *assets}
    assert {*re.findall(r'src="([^"]+)"', PAGE)} <= documents.keys()
    media_types = {path: get_response(documents, path).body.media_type for path in assets}
    assert media_types == {
        "/shop/assets/index-1.js": "text/javascript; charset=utf-8",
        "/shop/assets/index-1.css": "text/css; charset=utf-8",
        "/shop/assets/icon-1.svg": "image/svg+xml",
    }


def test_assets_are_immutable_and_pages_are_validated(folder: Path) -> None:
    documents = load_web_apps(folder, AppConfig(), "delivery")
    assert "immutable" in get_response(documents, "/shop/assets/index-1.js").headers["Cache-Control"]
    assert get_response(documents, "/shop").headers["Cache-Control"] == "no-cache"


def test_policy_of_an_app_permits_no_inline_code(folder: Path) -> None:
    policy = get_response(load_web_apps(folder, AppConfig(), "delivery"), "/shop").headers["Content-Security-Policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy


def test_policy_permits_firebase_only_if_configured(folder: Path) -> None:
    documents = load_web_apps(folder, AppConfig(FIREBASE), "delivery")
    policy = get_response(documents, "/shop").headers["Content-Security-Policy"]
    assert "connect-src 'self' https://firebaseinstallations.googleapis.com" in policy


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (AppConfig(), {}),
        (AppConfig(FIREBASE), {"firebase": FIREBASE}),
        (AppConfig(None, "http://a", "http://b"), {"devices_url": "http://a", "traces_url": "http://b"}),
    ],
)
def test_configuration_has_only_the_set_values(tmp_path: Path, config: AppConfig, expected: object) -> None:
    document = load_web_apps(tmp_path, config, "delivery")["/apps.json"]
    assert isinstance(document, BinaryResponse)
    assert msgspec.json.decode(document.content) == expected


def test_start_page_links_apps_and_documentation(folder: Path) -> None:
    page = load_web_apps(folder, AppConfig(), "delivery")["/"]
    assert isinstance(page, BinaryResponse)
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', page.content.decode())
    assert links == [("/shop", "Shop &amp; more"), ("/docs", "API documentation"), ("/problems/", "Problems")]


def test_missing_folder_leaves_only_the_documentation(tmp_path: Path) -> None:
    assert load_web_apps(tmp_path / "missing", AppConfig(), "delivery").keys() == {"/", "/apps.json"}

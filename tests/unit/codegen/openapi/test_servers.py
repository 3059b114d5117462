"""Base path of the served document."""

import pytest

from codegen.openapi.servers import get_base_path, is_supported_server
from tests.unit.codegen.openapi.sample_documents import change_document, find_errors


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/api/v1", "/api/v1"),
        ("/api/v1/", "/api/v1"),
        ("/", ""),
        ("https://api.example.com/v1", "/v1"),
        ("https://api.example.com:8443", ""),
    ],
)
def test_base_path_is_the_path_of_the_first_server(url: str, path: str) -> None:
    assert is_supported_server(url)
    assert get_base_path({"servers": [{"url": url}, {"url": "/other"}]}) == path
    assert find_errors(change_document(servers=[{"url": url}])) == []


@pytest.mark.parametrize("url", ["", "api/v1", "/{base}/v1", "https://{host}/v1", "/v1?a=b", "/v1#a", "/a//b", "/a b"])
def test_other_urls_of_servers_are_errors(url: str) -> None:
    (error,) = find_errors(change_document(servers=[{"url": url}]))
    assert error.startswith(f"servers: the URL {url} of a server is not supported; write a path")

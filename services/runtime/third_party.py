"""What we and third parties say to each other, held against their OpenAPI files. Neither side is trusted."""

import json
from functools import cache
from pathlib import Path

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers

CONTRACTS = Path(__file__).parents[2] / "generated/openapi"

HOST = "http://third.party"
"""Stands for the registered address, below which the contract's paths begin."""


class _Request:
    """A request in the form that openapi-core reads."""

    host_url = HOST

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.method = "post"
        self.body = body
        self.content_type = headers["content-type"]
        self.parameters = RequestParameters(header=Headers(headers))


class _Response:
    """An answer in the form that openapi-core reads."""

    def __init__(self, answer: httpx.Response, body: bytes) -> None:
        self.status_code = answer.status_code
        self.headers = Headers(list(answer.headers.items()))
        self.content_type = answer.headers.get("content-type", "").lower()
        self.data = body


class Contract:
    """One third party's contract. About 3 ms of CPU for a request with its answer."""

    def __init__(self, name: str) -> None:
        document = json.loads((CONTRACTS / f"{name}.json").read_text())
        document["servers"] = [{"url": HOST}]
        self._contract = OpenAPI.from_dict(document, Config(spec_validator_cls=None))

    def allows(self, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether a POST of ours is as the contract says; its `path` begins below the registered address."""
        try:
            self._contract.validate_request(_Request(path, headers, body))
        except OpenAPIError:
            return False  # whose words would say what stood there
        return True

    def knows(self, path: str, headers: dict[str, str], body: bytes, answer: httpx.Response, read: bytes) -> bool:
        """Whether the answer to such a POST is as the contract says; `read` is its body."""
        try:
            self._contract.validate_response(_Request(path, headers, body), _Response(answer, read))
        except OpenAPIError:
            return False
        return True


@cache
def contract(name: str) -> Contract:
    """The contract of `api-specs/openapi/<name>.yaml`, read once."""
    return Contract(name)

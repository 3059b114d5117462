"""What we and third parties say to each other, held against their OpenAPI files. Neither side is trusted."""

import json
from functools import cache
from pathlib import Path

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers

CONTRACTS_DIR = Path(__file__).parents[3] / "generated/openapi"

PLACEHOLDER_BASE_URL = "http://third.party"
"""Stands for the registered address, below which the contract's paths begin."""


class _OpenApiRequest:
    """A request in the form that openapi-core reads."""

    host_url = PLACEHOLDER_BASE_URL

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.method = "post"
        self.body = body
        self.content_type = headers["content-type"]
        self.parameters = RequestParameters(header=Headers(headers))


class _OpenApiResponse:
    """An answer in the form that openapi-core reads."""

    def __init__(self, response: httpx.Response, body: bytes) -> None:
        self.status_code = response.status_code
        self.headers = Headers(list(response.headers.items()))
        self.content_type = response.headers.get("content-type", "").lower()
        self.data = body


class ThirdPartyContract:
    """One third party's contract. About 3 ms of CPU for a request with its answer."""

    def __init__(self, name: str) -> None:
        document = json.loads((CONTRACTS_DIR / f"{name}.json").read_text())
        document["servers"] = [{"url": PLACEHOLDER_BASE_URL}]
        self._openapi = OpenAPI.from_dict(document, Config(spec_validator_cls=None))

    def is_valid_request(self, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether a POST of ours is as the contract says; its `path` begins below the registered address."""
        try:
            self._openapi.validate_request(_OpenApiRequest(path, headers, body))
        except OpenAPIError:
            return False  # whose words would say what stood there
        return True

    def is_valid_response(
        self, path: str, headers: dict[str, str], body: bytes, response: httpx.Response, response_body: bytes
    ) -> bool:
        """Whether the answer to such a POST is as the contract says; `read` is its body."""
        try:
            self._openapi.validate_response(
                _OpenApiRequest(path, headers, body), _OpenApiResponse(response, response_body)
            )
        except OpenAPIError:
            return False
        return True


@cache
def load_contract(name: str) -> ThirdPartyContract:
    """The contract of `api-specs/openapi/<name>.yaml`, read once."""
    return ThirdPartyContract(name)

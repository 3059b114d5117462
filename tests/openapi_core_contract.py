"""Third-party contract validated by openapi-core, an implementation that is independent of the services'."""

import json

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers

from services.runtime.outbound.contract_validation import CONTRACTS_DIR

BASE_URL = "http://third.party"
"""Stands for the registered base URL, to which the contract's paths are relative."""


class _Request:
    """POST request in the form that openapi-core requires."""

    host_url = BASE_URL

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.method = "post"
        self.body = body
        self.content_type = headers["content-type"]
        self.parameters = RequestParameters(header=Headers(headers))


class _Response:
    """Response in the form that openapi-core requires."""

    def __init__(self, response: httpx.Response, body: bytes) -> None:
        self.status_code = response.status_code
        self.headers = Headers(list(response.headers.items()))
        self.content_type = response.headers.get("content-type", "").lower()
        self.data = body


class OpenApiCoreContract:
    """Counterpart of `ThirdPartyContract`."""

    def __init__(self, name: str) -> None:
        document = json.loads((CONTRACTS_DIR / f"{name}.json").read_text(encoding="utf-8"))
        document["servers"] = [{"url": BASE_URL}]
        self._openapi = OpenAPI.from_dict(document, Config(spec_validator_cls=None))

    def is_valid_request(self, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Return whether a POST request conforms to the contract."""
        try:
            self._openapi.validate_request(_Request(path, headers, body))
        except OpenAPIError:
            return False
        return True

    def is_valid_response(self, path: str, response: httpx.Response, body: bytes) -> bool:
        """Return whether the response to a POST request conforms to the contract."""
        request = _Request(path, {"content-type": "application/json"}, b"{}")
        try:
            self._openapi.validate_response(request, _Response(response, body))
        except OpenAPIError:
            return False
        return True

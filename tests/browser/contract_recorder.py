"""Requests of browser contexts, compared with the published OpenAPI document."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.validation.request.exceptions import MissingRequiredRequestBody
from playwright.sync_api import BrowserContext, Response
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.conftest import ROOT

API_PATH = "/api/v1/"
BASE_URL = "http://edge"
"""Stands for the edge, or for a server of another origin that has the same paths."""
PAGE_PATHS = re.compile(r"/|/apps\.json|/(shop|courier|console)(/.*)?")
"""Paths outside the API that apps request."""


@cache
def load_contract() -> OpenAPI:
    """Return the published document as a validator of requests."""
    document = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))
    document["servers"] = [{"url": BASE_URL + API_PATH.rstrip("/")}]
    return OpenAPI.from_dict(document, Config(spec_validator_cls=None))


class _Request:
    """Recorded request in the form that openapi-core requires."""

    host_url = BASE_URL

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> None:
        self.method = method.lower()
        self.path = urlsplit(url).path
        self.body = body
        self.content_type = headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(urlsplit(url).query)), header=Headers(headers)
        )


class ContractRecorder:
    """Responses that browser contexts have received from one origin."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.responses: list[Response] = []

    def attach(self, context: BrowserContext) -> None:
        """Record the responses of a context."""
        context.on("response", self._record)

    def _record(self, response: Response) -> None:
        if response.url.startswith(f"{self._origin}/") and response.request.method != "OPTIONS":
            self.responses.append(response)

    def count(self, method: str, path: str) -> int:
        """Return the number of requests to a path of the API."""
        return sum(
            (each.request.method, urlsplit(each.url).path.removeprefix(API_PATH.rstrip("/"))) == (method, path)
            for each in self.responses
        )

    def find_violations(self) -> Iterator[str]:
        """Yield a description of each request that does not conform to the contract."""
        for response in self.responses:
            request, path = response.request, urlsplit(response.url).path
            if PAGE_PATHS.fullmatch(path):
                continue
            name = f"{request.method} {path}"
            if not path.startswith(API_PATH):
                yield f"{name}: outside of the API"
                continue
            body = request.post_data_buffer
            yield from find_request_errors(name, request.method, response.url, request.headers, body)
            if response.status == 400:
                yield f"{name}: rejected with 400"


def find_request_errors(
    name: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> Iterator[str]:
    """Yield the error of a request that does not conform to the contract."""
    if headers.get("content-type", "").startswith("multipart/"):
        body = None  # openapi-core requires text, also for the content of a file.
    try:
        load_contract().validate_request(_Request(method, url, headers, body))
    except MissingRequiredRequestBody:
        # Chromium does not report the bodies of cloned requests. The API rejects invalid ones with 400.
        return
    except OpenAPIError as error:
        yield f"{name}: {error!r} {error.__cause__ or ''}"

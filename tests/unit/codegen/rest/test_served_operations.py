"""Operations of all supported kinds, generated from one document and served by the runtime."""

import inspect
import sys
from collections.abc import Iterator
from datetime import date
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from codegen import tool_cache
from codegen.rest import handlers, models
from codegen.rest.published_openapi import publish_document
from services.runtime.core.principal import Principal
from services.runtime.rest.app import build_app
from services.runtime.rest.types import Upload
from tests.sample_rest_app import IDENTITY_HEADERS, send_request
from tests.unit.codegen.openapi.sample_documents import find_errors
from tests.unit.codegen.openapi.served_document import DOCUMENT
from tests.unit.codegen.sample_contracts import create_contracts


class Served:
    """The application with handlers that record their arguments and return the result."""

    def __init__(self, models_module: ModuleType, handlers_module: ModuleType) -> None:
        self.models = models_module
        self.calls: list[dict[str, Any]] = []
        self.result: Any = None
        self.principal: Principal | None = None
        base = handlers_module.OrderItemsHandler
        methods = {name: self._create_method(getattr(base, name)) for name in base.__abstractmethods__}
        handler = type("RecordingHandler", (base,), methods)()
        self.operations = handlers_module.OPERATIONS
        self.app: ASGIApp = build_app(
            publish_document(DOCUMENT), [handler], self.operations, {}, {}, validate_responses=True
        )

    def _create_method(self, abstract: Any) -> Any:
        async def method(_: object, **arguments: Any) -> Any:
            self.principal = arguments.pop("principal", None)
            self.calls.append(arguments)
            return self.result

        method.__signature__ = inspect.signature(abstract)  # type: ignore[attr-defined]
        method.__annotations__ = abstract.__annotations__
        return method

    def send(self, method: str, path: str, *, has_token: bool = True, **request: Any) -> httpx.Response:
        """Send a request, and delete earlier calls."""
        self.calls.clear()
        headers = dict(IDENTITY_HEADERS if has_token else {}) | request.pop("headers", {})
        return send_request(self.app, method, path, headers=headers, **request)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool_cache, "CACHE_FOLDER", tmp_path_factory.mktemp("cache"))
        contracts = create_contracts(openapi=DOCUMENT)
        text = handlers.generate(contracts)[contracts.get_rest_path(handlers.MODULE)]
        texts = {
            "served_models": models.generate_api(contracts, "delivery"),
            "served_handlers": str(text).replace("generated.rest.delivery.models", "served_models"),
        }
        modules = {name: ModuleType(name) for name in texts}
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
            exec(texts[name], module.__dict__)  # noqa: S102 (the source is generated)
        yield Served(modules["served_models"], modules["served_handlers"])


def test_document_is_supported() -> None:
    assert find_errors(DOCUMENT) == []


@pytest.mark.parametrize(
    ("query", "argument", "value"),
    [
        ("statuses=paid&statuses=ready", "statuses", ["paid", "ready"]),
        ("statuses=ready", "statuses", ["ready"]),
        ("ids=1,2,3", "ids", [1, 2, 3]),
        ("ids=1", "ids", [1]),
        ("$filter=a", "filter", "a"),
        ("%24filter=a", "filter", "a"),
        ("filter[status]=ready", "filter_status", "ready"),
        ("from=2024-02-29", "from_", date(2024, 2, 29)),
        ("days=2024-02-29&days=2024-03-01", "days", [date(2024, 2, 29), date(2024, 3, 1)]),
        ("level=2", "level", 2),
        ("", "other", 2),
        ("other=1", "other", 1),
        ("", "statuses", None),
    ],
)
def test_query_parameter_reaches_the_handler(served: Served, query: str, argument: str, value: Any) -> None:
    served.result = served.models.Operation(id="a")
    response = served.send("GET", f"/things/5?{query}")
    assert (response.status_code, response.json()) == (200, {"id": "a"})
    assert served.calls[0][argument] == value
    assert served.calls[0]["item_id"] == 5


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("/things/x", {}, "item-id"),
        ("/things/5?statuses=unknown", {}, "statuses"),
        ("/things/5?statuses=paid&statuses=paid&statuses=paid&statuses=paid", {}, "statuses"),
        ("/things/5?ids=1,x", {}, "ids"),
        ("/things/5?ids=10", {}, "ids"),
        ("/things/5?level=3", {}, "level"),
        ("/things/5?days=2024-02-30", {}, "days"),
        ("/things/5?from=2024-01-01&from=2024-01-01", {}, "from"),
        ("/things/5", {"x-tags": "maybe"}, "X-Tags"),
        ("/things/5", {"cookie": "session=too-long"}, "session"),
        ("/ranges/1-x", {}, "last"),
    ],
)
def test_invalid_parameter_is_rejected(served: Served, path: str, headers: dict[str, str], field: str) -> None:
    response = served.send("GET", path, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert served.calls == []


def test_enum_parameters_have_the_type_of_the_signature(served: Served) -> None:
    served.result = served.models.Operation(id="a")
    served.send("GET", "/things/5?level=2&statuses=paid")
    assert served.calls[0]["level"] is served.models.Level(2)
    assert served.calls[0]["statuses"] == [served.models.Status.paid]
    assert isinstance(served.calls[0]["statuses"][0], served.models.Status)
    served.send("GET", "/things/5?alias=ready")
    assert served.calls[0]["alias"] is served.models.Status.ready


def test_header_and_cookie_parameters_reach_the_handler(served: Served) -> None:
    served.result = served.models.Operation(id="a")
    headers = {"x-tags": "true, false", "cookie": "other=1; session=abc"}
    assert served.send("GET", "/things/5", headers=headers).status_code == 200
    assert (served.calls[0]["x_tags"], served.calls[0]["session"]) == ([True, False], "abc")


def test_operation_of_head_has_its_own_handler(served: Served) -> None:
    served.result = None
    assert served.send("HEAD", "/things/a").status_code == 204
    assert served.calls == [{"item_id": "a"}]


def test_several_parameters_in_a_segment_reach_the_handler(served: Served) -> None:
    served.result = None
    assert served.send("GET", "/ranges/1-2").status_code == 204
    assert served.calls == [{"first": 1, "last": 2}]
    assert served.send("GET", "/files/a,b.json").status_code == 204
    assert served.calls == [{"names": ["a", "b"]}]


def test_vendor_media_types_are_json(served: Served) -> None:
    served.result = {"a": 1}
    headers = {"content-type": "application/vnd.sample+json"}
    response = served.send("POST", "/things:batch", content=b'[{"id": "a", "level": 1}]', headers=headers)
    assert (response.status_code, response.json()) == (200, {"a": 1})
    assert response.headers["content-type"] == "application/vnd.api+json"
    assert served.calls == [{"body": [served.models.Event(id="a", level=served.models.Level(1))]}]
    assert served.send("POST", "/things:batch", json=[]).status_code == 415


def test_form_is_converted_to_its_model(served: Served) -> None:
    served.result = "done"
    response = served.send("POST", "/forms", data={"amount": "5", "paid": "true", "tags": ["a", "b"]})
    assert (response.status_code, response.json()) == (200, "done")
    assert served.calls == [{"body": served.models.Form(amount=5, paid=True, tags=["a", "b"], class_="none")}]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (b"paid=true", ""),
        (b"amount=x", "/amount"),
        (b"amount=1&amount=2", "/amount"),
        (b"amount=1&unknown=2", ""),
        (b"amount=\xff", None),
        (b"amount=%ff", None),
    ],
)
def test_invalid_form_is_rejected(served: Served, form: bytes, field: str | None) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = served.send("POST", "/forms", content=form, headers=headers)
    errors = response.json().get("errors", [{"field": None}])
    assert (response.status_code, errors[0]["field"]) == (400, field)
    assert served.calls == []


def test_recursive_bodies_are_served(served: Served) -> None:
    served.result = served.models.Tree(children=[served.models.Tree()])
    response = served.send("POST", "/trees", json={"children": [{"children": []}]})
    assert (response.status_code, response.json()) == (200, {"children": [{}]})
    assert served.send("POST", "/trees", json={"children": [{"child": []}]}).status_code == 400


def test_models_with_names_of_the_runtime_are_used(served: Served) -> None:
    handler = served.operations["things.get"].handler
    assert handler.things_get.__annotations__["return"] is served.models.Operation
    assert served.operations["import"].method == "import_"


PICTURE = {"picture": ("a.png", b"png", "image/png")}


def test_multipart_form_has_a_file_and_other_fields(served: Served) -> None:
    served.result = None
    data = {"title": "Tea", "class": "paid", "day": "2024-02-29", "tags": ["1", "2"]}
    response = served.send("POST", "/uploads", files=PICTURE, data=data)
    assert (response.status_code, response.text) == (204, "")
    assert served.calls == [
        {
            "body": Upload("a.png", "image/png", b"png"),
            "title": "Tea",
            "class_": served.models.Status.paid,
            "day": date(2024, 2, 29),
            "level": 3,
            "tags": [1, 2],
        }
    ]


def test_absent_fields_of_a_form_are_none_or_their_default(served: Served) -> None:
    served.result = None
    assert served.send("POST", "/uploads", files=PICTURE, data={"title": "a"}).status_code == 204
    assert [served.calls[0][name] for name in ("class_", "day", "level", "tags")] == [None, None, 3, None]


@pytest.mark.parametrize(
    ("files", "data", "status", "field"),
    [
        (PICTURE, {}, 400, "title"),
        (PICTURE, {"title": "too long"}, 400, "title"),
        (PICTURE, {"title": ["a", "b"]}, 400, "title"),
        (PICTURE, {"title": "a", "level": "x"}, 400, "level"),
        (PICTURE, {"title": "a", "day": "2024-02-30"}, 400, "day"),
        (PICTURE, {"title": "a", "colour": "red"}, 400, "colour"),
        (PICTURE, {"title": "a", "picture": "text"}, 400, "picture"),
        ({"title": ("a.txt", b"a", "text/plain")}, {}, 400, "picture"),
        ({"picture": ("a.gif", b"gif", "image/gif")}, {"title": "a"}, 415, None),
    ],
)
def test_invalid_multipart_form_is_rejected(
    served: Served, files: Any, data: dict[str, Any], status: int, field: str | None
) -> None:
    response = served.send("POST", "/uploads", files=files, data=data)
    errors = response.json().get("errors", [{"field": None}])
    assert (response.status_code, errors[0]["field"]) == (status, field)
    assert served.calls == []


@pytest.mark.parametrize("has_token", [True, False])
def test_optional_token_reaches_the_handler_as_principal(served: Served, has_token: bool) -> None:
    served.result = None
    response = served.send("POST", "/uploads", has_token=has_token, files=PICTURE, data={"title": "a"})
    assert response.status_code == 204
    assert (served.principal is not None) is has_token
    assert response.headers["vary"] == "Authorization"
    handler = served.operations["upload"].handler
    assert inspect.signature(handler.upload).parameters["principal"].annotation == Principal | None


def test_required_token_is_checked_by_the_runtime_too(served: Served) -> None:
    assert served.send("GET", "/things/5", has_token=False).status_code == 401


def test_optional_file_of_a_form_may_be_absent(served: Served) -> None:
    served.result = None
    png = ("a.png", b"png", "image/png")
    assert served.send("POST", "/notes", files={"file": png}).status_code == 204
    assert served.calls == [{"body": Upload("a.png", "image/png", b"png"), "text": None}]
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\nhi\r\n--x--\r\n'
    assert served.send("POST", "/notes", content=part % b"text", headers=boundary).status_code == 204
    assert served.calls == [{"body": None, "text": "hi"}]
    for name in (b"file", b"other"):
        assert served.send("POST", "/notes", content=part % name, headers=boundary).status_code == 400

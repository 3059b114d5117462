"""Rules about the layers of a service that imports do not show: JSON pointers, HTTP and transactions."""

import ast
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local.mesh_config import SERVICES
from tests.conftest import ROOT

RPC_SERVICES = tuple(name for name in SERVICES if name != "gateway")
JSON_POINTER = re.compile(r"(/[a-z0-9_~{}]+)+")


def iter_trees(*patterns: str) -> Iterator[tuple[Path, ast.Module]]:
    for pattern in patterns:
        for path in sorted((ROOT / "services").glob(pattern)):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def find_texts(tree: ast.AST) -> list[str]:
    """Return the texts of a module, with `{}` for each value of an f-string."""
    texts = [build_text(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    return texts + [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def build_text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def find_pointers(tree: ast.AST) -> list[str]:
    return [text for text in find_texts(tree) if JSON_POINTER.fullmatch(text)]


@pytest.mark.parametrize("text", ['"/api_url"', 'f"/{name}"', 'f"/items/{index}/product_id"', '"/preferences/ttl_s"'])
def test_json_pointer_is_found(text: str) -> None:
    assert find_pointers(ast.parse(f"error = FieldError({text}, 'is invalid')")) != []


def test_domain_and_use_cases_contain_no_json_pointer() -> None:
    modules = iter_trees("*/domain/**/*.py", "*/usecases/**/*.py")
    found = {str(path.relative_to(ROOT)): find_pointers(tree) for path, tree in modules}
    assert len(found) > 40
    assert {path: pointers for path, pointers in found.items() if pointers} == {}


def iter_header_names(document: Any) -> Iterator[str]:
    """Yield the names of the headers in a specification."""
    if isinstance(document, dict):
        if document.get("in") == "header":
            yield document["name"]
        headers = document.get("headers")
        yield from headers if isinstance(headers, dict) else ()
        document = list(document.values())
    for item in document if isinstance(document, list) else ():
        yield from iter_header_names(item)


DELIVERY = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))
BASE_PATH = DELIVERY["servers"][0]["url"] + "/"
HEADER_NAMES = frozenset(name.lower() for name in iter_header_names(DELIVERY)) | {"authorization", "allow"}
HTTP_IDENTIFIERS = re.compile(r"_?(headers?|e_?tags?|if_(none_)?match|www_authenticate)|\w+_(headers?|etags?)")


def find_identifiers(tree: ast.AST) -> list[str]:
    """Return the names of variables, attributes, parameters, arguments and functions."""
    return [
        name
        for node in ast.walk(tree)
        for attribute in ("id", "attr", "arg", "name")
        if isinstance(name := getattr(node, attribute, None), str)
    ]


def find_http(tree: ast.AST) -> list[str]:
    """Return names of headers, public paths, and identifiers of headers and entity tags."""
    texts = [text for text in find_texts(tree) if text.lower() in HEADER_NAMES or BASE_PATH in text]
    return texts + [name for name in find_identifiers(tree) if HTTP_IDENTIFIERS.fullmatch(name)]


@pytest.mark.parametrize(
    "source",
    [
        'raise ApiError(reason, headers={"Www-Authenticate": challenge})',
        'ERRORS = {"www-authenticate": "Bearer"}',
        'PRODUCTS = PictureFolder("products", "/api/v1/pictures/")',
        'path = f"{public_url}/api/v1/orders/{order_id}"',
        "def update(if_match: str | None): ...",
        "is_current = agent.etag in expected",
        "def format_etag(version): ...",
    ],
)
def test_http_is_found(source: str) -> None:
    assert find_http(ast.parse(source)) != []


def test_domain_and_use_cases_contain_no_http() -> None:
    """Entry points and the error mapping encode headers and entity tags; they and adapters build public paths."""
    modules = iter_trees("*/domain/**/*.py", "*/usecases/**/*.py")
    found = {str(path.relative_to(ROOT)): find_http(tree) for path, tree in modules}
    assert len(found) > 40
    assert {path: names for path, names in found.items() if names} == {}


def load_field_pointers(service: str) -> Mapping[str, str]:
    module = importlib.import_module(f"services.{service}.entrypoints.rpc")
    pointers: Mapping[str, str] = getattr(module, f"{service.title()}Rpc").FIELD_POINTERS
    return pointers


@pytest.mark.parametrize("service", RPC_SERVICES)
def test_every_field_of_an_error_has_a_pointer(service: str) -> None:
    """Fields whose name is a variable have tests of their own."""
    named = {
        build_text(call.args[0]).replace("{}", "")
        for _, tree in iter_trees(f"{service}/domain/**/*.py", f"{service}/usecases/**/*.py")
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "FieldError"
    }
    fields = {name for name in named if name and not name.endswith(".")}
    assert fields <= load_field_pointers(service).keys()


def iter_pointers(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the pointers to the properties of a schema, with `{}` for the index of a list."""
    if "$ref" in schema:
        yield from iter_pointers(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for part in schema.get("allOf", ()):
        yield from iter_pointers(document, part)
    for name, property_schema in schema.get("properties", {}).items():
        yield from (f"/{name}{pointer}" for pointer in ("", *iter_pointers(document, property_schema)))
    if "items" in schema:
        yield from ("/{}" + pointer for pointer in iter_pointers(document, schema["items"]))


@pytest.mark.parametrize("service", RPC_SERVICES)
def test_every_pointer_is_in_the_body_of_a_public_request(service: str) -> None:
    pointers = {
        pointer
        for path in DELIVERY["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "requestBody" in operation
        for content in operation["requestBody"]["content"].values()
        for pointer in iter_pointers(DELIVERY, content.get("schema", {}))
    }
    assert set(load_field_pointers(service).values()) <= pointers


def test_ports_of_services_have_at_most_125_lines_on_average() -> None:
    """A port that one use case needs is declared in its module."""
    paths = [ROOT / "services" / service / "usecases/ports.py" for service in SERVICES]
    assert sum(path.read_text(encoding="utf-8").count("\n") for path in paths) <= 125 * len(SERVICES)


PERMITTED_TRANSACTIONS = {
    "services/orders/adapters/postgres/reconciliation.py": ["try_acquire_leadership"],
}
"""Functions of adapters that open a transaction, named in docs/architecture.md: it holds a lock and changes nothing."""


OPENERS = ("transaction", "unit_of_work", "idempotent_unit_of_work", "run_optimistically", "run_idempotently")
"""Methods that open a transaction."""


def find_transactions(tree: ast.AST) -> list[str]:
    """Return the functions that open a transaction of the database."""
    return [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in OPENERS
        and not function.name.endswith("unit_of_work")
    ]


@pytest.mark.parametrize(
    ("source", "functions"),
    [
        ("async def save(self):\n    async with self._database.transaction() as t:\n        pass", ["save"]),
        ("async def save(self):\n    async with self.unit_of_work() as unit:\n        pass", ["save"]),
        ("async def limited_unit_of_work(self):\n    async with self.unit_of_work() as unit:\n        yield unit", []),
        ("async def get(self):\n    return await self._database.fetch_one(STATEMENT)", []),
    ],
)
def test_transaction_of_a_function_is_found(source: str, functions: list[str]) -> None:
    assert find_transactions(ast.parse(source)) == functions


def test_use_cases_open_all_transactions() -> None:
    parts = ("app.py", "adapters/**/*.py", "entrypoints/**/*.py")
    patterns = (f"{service}/{part}" for service in SERVICES for part in parts)
    found = {str(path.relative_to(ROOT)): find_transactions(tree) for path, tree in iter_trees(*patterns)}
    assert len(found) > 60
    assert {path: functions for path, functions in found.items() if functions} == PERMITTED_TRANSACTIONS

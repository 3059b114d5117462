"""Scaffolding of tests for new operations: assertions from the contract, and a failing test to complete."""

import re
from pathlib import Path
from typing import Any

from codegen.contracts import Contracts
from codegen.naming import render_docstring, to_snake_case
from codegen.rest.operations import Operation, iter_operations

TESTS_FOLDER = "tests/e2e"


def list_bound_operations(handlers_source: str) -> set[str]:
    """Return the operations in the source of a generated table."""
    return set(re.findall(r'^    "([^"]+)": _?Operation\(', handlers_source, re.MULTILINE))


def render_new_tests(contracts: Contracts, previous_operations: set[str]) -> dict[str, str]:
    """Return the test of each new operation, by path relative to the repository."""
    new = [
        operation for operation in iter_operations(contracts, contracts.name) if operation.id not in previous_operations
    ]
    return {
        f"{TESTS_FOLDER}/test_{to_snake_case(operation.id)}.py": render_test(contracts, operation) for operation in new
    }


def write_tests(root: Path, tests: dict[str, str]) -> list[Path]:
    """Write the tests that do not exist and return their paths."""
    paths = [root / name for name in tests if not (root / name).exists()]
    for path in paths:
        path.write_text(tests[str(path.relative_to(root))], encoding="utf-8")
    return paths


def render_test(contracts: Contracts, operation: Operation) -> str:
    """Render the test file; the formatter removes unused imports."""
    name, path = to_snake_case(operation.id), re.sub(r"\{[^}]+\}", "1", operation.path)
    body = get_body_example(contracts, operation)
    request = f"edge.request({operation.method!r}, {path!r}{', json=BODY' if body is not None else ''}"
    text = (
        f"{render_docstring(f'{operation.id}: {operation.summary or operation.path}.', 0)}\n"
        "from collections.abc import Callable\n\nimport httpx\nimport pytest\n\n"
        "from deploy.local.demo.scenario_context import ScenarioContext\n\n"
        f"{f'BODY = {body!r}' if body is not None else ''}\n\n"
    )
    if operation.scheme == "bearer" and not operation.is_token_optional:
        text += (
            f"def test_{name}_without_token_returns_401(edge: httpx.Client) -> None:\n"
            f"    assert {request}).status_code == 401\n\n\n"
        )
    if forbidden := [role for role in list_roles(contracts) if operation.roles and role not in operation.roles]:
        text += (
            f'@pytest.mark.parametrize("role", {forbidden!r})\n'
            f"def test_{name}_with_other_role_returns_403(\n"
            "    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str\n) -> None:\n"
            f"    assert {request}, headers=bearer(role)).status_code == 403\n\n\n"
        )
    return text + (
        f"def test_{name}(context: ScenarioContext) -> None:\n"
        f'    pytest.fail("complete this test: call {operation.id} and assert its effects")\n'
    )


def list_roles(contracts: Contracts) -> list[str]:
    """Return all roles that operations permit, in file order."""
    operations = iter_operations(contracts, contracts.name)
    return list(dict.fromkeys(role for operation in operations for role in operation.roles))


def get_body_example(contracts: Contracts, operation: Operation) -> Any:
    """Return the first example of the request body, or None."""
    content: dict[str, Any] = next(iter((operation.body or {}).values()), {})
    examples = contracts.resolve_reference(contracts.name, content.get("schema", {})).get("examples", [])
    return examples[0] if examples else None

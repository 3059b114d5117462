"""A test for each new operation: what the contract already says is asserted, what it does is left to say."""

import re
from pathlib import Path
from typing import Any

from codegen.contracts import Contracts
from codegen.naming import snake
from codegen.rest.handlers import API
from codegen.rest.operations import Operation, operations

TESTS_FOLDER = "tests/e2e"
DEMO_ROLES = ("customer", "deliverer", "admin")
"""Of the demo accounts."""


def bound_operations(handlers_source: str) -> set[str]:
    """The operations that a generated table of handlers binds."""
    return set(re.findall(r'^    "(\w+)": Operation\(', handlers_source, re.MULTILINE))


def new_tests(contracts: Contracts, known_operations: set[str]) -> dict[str, str]:
    """By path below the repository, a test of each operation that was not there before."""
    fresh = [operation for operation in operations(contracts, API) if operation.id not in known_operations]
    return {f"{TESTS_FOLDER}/test_{snake(operation.id)}.py": render_test(contracts, operation) for operation in fresh}


def write_tests(root: Path, tests: dict[str, str]) -> list[Path]:
    """Writes those that nobody has written yet, and says which."""
    paths = [root / name for name in tests if not (root / name).exists()]
    for path in paths:
        path.write_text(tests[str(path.relative_to(root))])
    return paths


def render_test(contracts: Contracts, operation: Operation) -> str:
    """The whole file; unused imports are left for the formatter to remove."""
    name, path = snake(operation.id), re.sub(r"\{\w+\}", "1", operation.path)
    body = body_example(contracts, operation)
    request = f"edge.request({operation.method!r}, {path!r}{', json=BODY' if body is not None else ''}"
    fixture = "pending" if "{order_id}" in operation.path else "world"
    text = (
        f'"""{operation.id}: {operation.summary or operation.path}."""\n\n'
        "from collections.abc import Callable\n\nimport httpx\nimport pytest\n\n"
        f"from deploy.local.demo.scenarios import World\n\n{f'BODY = {body!r}' if body is not None else ''}\n\n"
    )
    if operation.scheme == "bearer":
        text += (
            f"def test_{name}_needs_a_token(edge: httpx.Client) -> None:\n"
            f"    assert {request}).status_code == 401\n\n\n"
        )
    if strangers := [role for role in DEMO_ROLES if operation.roles and role not in operation.roles]:
        text += (
            f'@pytest.mark.parametrize("role", {strangers!r})\n'
            f"def test_{name}_is_for_its_roles_only(\n"
            "    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str\n) -> None:\n"
            f"    assert {request}, headers=bearer(role)).status_code == 403\n\n\n"
        )
    return text + (
        f"def test_{name}({fixture}: World) -> None:\n"
        f'    pytest.fail("say what {operation.id} does: call it, and await what follows from it")\n'
    )


def body_example(contracts: Contracts, operation: Operation) -> Any:
    """What the contract shows as a body; None where there is none."""
    content: dict[str, Any] = next(iter((operation.body or {}).values()), {})
    examples = contracts.resolve_reference(API, content.get("schema", {})).get("examples", [])
    return examples[0] if examples else None

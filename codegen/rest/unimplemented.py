"""What the contracts ask of the services and nobody has written yet: functions, and whole classes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HANDLERS_FILE = "generated/rest/delivery/handlers.py"
CONSUMERS_FILE = "generated/events/consumers.py"
SERVICERS_GLOB = "generated/proto/delivery/*/v1/rpc.py"

type ClassName = tuple[str, str]
"""A class: its module's dotted name, and its own."""


@dataclass(frozen=True)
class ClassInfo:
    """A class somebody wrote: where, what it is made of, and which functions it has itself."""

    path: str
    bases: tuple[ClassName, ...]
    methods: frozenset[str]


def find_unimplemented(root: Path) -> list[str]:
    """A sentence for each function or class, with what to write and where. Reads `generated/` and `services/` of `root`."""
    written = dict(service_classes(root))
    return [
        sentence for path in sorted(abstract_modules(root)) for sentence in _find_unimplemented(root, path, written)
    ]


def abstract_modules(root: Path) -> Iterator[Path]:
    """The generated modules whose classes services implement."""
    yield from (root / HANDLERS_FILE, root / CONSUMERS_FILE, *root.glob(SERVICERS_GLOB))


def service_classes(root: Path) -> Iterator[tuple[ClassName, ClassInfo]]:
    """Every class of `services/`."""
    for path in sorted((root / "services").rglob("*.py")):
        tree, module = ast.parse(path.read_text()), module_name(root, path)
        own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        imported: dict[str, ClassName] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                names = [base.id for base in node.bases if isinstance(base, ast.Name)]
                bases = tuple((module, name) if name in own else imported.get(name, ("", name)) for name in names)
                functions = frozenset(item.name for item in node.body if isinstance(item, _FUNCTION_NODES))
                yield (module, node.name), ClassInfo(str(path.relative_to(root)), bases, functions)


_FUNCTION_NODES = (ast.FunctionDef, ast.AsyncFunctionDef)


def module_name(root: Path, path: Path) -> str:
    """A module's name: generated/events/consumers.py → generated.events.consumers."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def ancestors(service_classes_by_name: dict[ClassName, ClassInfo], name: ClassName) -> set[ClassName]:
    """The class and everything that it is made of."""
    found = {name}
    if name in service_classes_by_name:
        for base in service_classes_by_name[name].bases:
            found |= ancestors(service_classes_by_name, base)
    return found


def _find_unimplemented(root: Path, path: Path, service_classes_by_name: dict[ClassName, ClassInfo]) -> Iterator[str]:
    module = module_name(root, path)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        wanted = {item.name: item for item in node.body if isinstance(item, _FUNCTION_NODES) and _is_abstract(item)}
        having = {name: ancestors(service_classes_by_name, name) for name in service_classes_by_name}
        implementing = {name for name, found in having.items() if (module, node.name) in found}
        last = sorted(name for name in implementing if not any(name in having[n] for n in implementing - {name}))
        if wanted and not last:
            yield f"{expected_path(module, node)}: no class implements {node.name}; write one and hand it over in app.py"
        for name in last:
            there = {
                function
                for each in having[name] & service_classes_by_name.keys()
                for function in service_classes_by_name[each].methods
            }
            for function in wanted.keys() - there:
                yield f"{service_classes_by_name[name].path}: the class {name[1]} needs\n{function_stub(wanted[function])}"


def _is_abstract(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "abstractmethod" for each in function.decorator_list)


def function_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The function's head and the first line of what it is for."""
    said = (ast.get_docstring(function) or "").partition("\n")[0]
    result = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    kind = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    return f'    {kind} {function.name}({ast.unparse(function.args)}){result}:\n        """{said}"""'


def expected_path(module: str, node: ast.ClassDef) -> str:
    """Where a class that implements a generated one belongs: OrdersHistoryConsumer → services/orders/events.py."""
    if module.endswith(".handlers"):
        return f"services/gateway/entrypoints/rest/{node.name.removesuffix('Handler').lower()}.py"
    if module.endswith(".rpc"):
        return f"services/{module.split('.')[-3]}/rpc.py"
    (queue,) = [item.value for item in node.body if isinstance(item, ast.AnnAssign) and _is_name(item.target, "QUEUE")]
    return f"services/{ast.literal_eval(queue or ast.Constant('')).partition('.')[0]}/events.py"


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

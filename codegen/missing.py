"""What the contracts ask of the services and nobody has written yet: functions, and whole classes."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HANDLERS = "generated/rest/delivery/handlers.py"
CONSUMERS = "generated/events/consumers.py"
SERVICERS = "generated/proto/delivery/*/v1/rpc.py"

type Name = tuple[str, str]
"""A class: its module's dotted name, and its own."""


@dataclass(frozen=True)
class Written:
    """A class somebody wrote: where, what it is made of, and which functions it has itself."""

    path: str
    bases: tuple[Name, ...]
    functions: frozenset[str]


def missing(root: Path) -> list[str]:
    """A sentence for each function or class, with what to write and where. Reads `generated/` and `services/` of `root`."""
    written = dict(classes(root))
    return [sentence for path in sorted(abstract_modules(root)) for sentence in _missing(root, path, written)]


def abstract_modules(root: Path) -> Iterator[Path]:
    """The generated modules whose classes services implement."""
    yield from (root / HANDLERS, root / CONSUMERS, *root.glob(SERVICERS))


def classes(root: Path) -> Iterator[tuple[Name, Written]]:
    """Every class of `services/`."""
    for path in sorted((root / "services").rglob("*.py")):
        tree, module = ast.parse(path.read_text()), dotted(root, path)
        own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        imported: dict[str, Name] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                names = [base.id for base in node.bases if isinstance(base, ast.Name)]
                bases = tuple((module, name) if name in own else imported.get(name, ("", name)) for name in names)
                functions = frozenset(item.name for item in node.body if isinstance(item, _FUNCTION))
                yield (module, node.name), Written(str(path.relative_to(root)), bases, functions)


_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def dotted(root: Path, path: Path) -> str:
    """A module's name: generated/events/consumers.py → generated.events.consumers."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def ancestors(written: dict[Name, Written], name: Name) -> set[Name]:
    """The class and everything that it is made of."""
    found = {name}
    if name in written:
        for base in written[name].bases:
            found |= ancestors(written, base)
    return found


def _missing(root: Path, path: Path, written: dict[Name, Written]) -> Iterator[str]:
    module = dotted(root, path)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        wanted = {item.name: item for item in node.body if isinstance(item, _FUNCTION) and _abstract(item)}
        having = {name: ancestors(written, name) for name in written}
        implementing = {name for name, found in having.items() if (module, node.name) in found}
        last = sorted(name for name in implementing if not any(name in having[n] for n in implementing - {name}))
        if wanted and not last:
            yield f"{place(module, node)}: no class implements {node.name}; write one and hand it over in app.py"
        for name in last:
            there = {function for each in having[name] & written.keys() for function in written[each].functions}
            for function in wanted.keys() - there:
                yield f"{written[name].path}: the class {name[1]} needs\n{stub(wanted[function])}"


def _abstract(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "abstractmethod" for each in function.decorator_list)


def stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The function's head and the first line of what it is for."""
    said = (ast.get_docstring(function) or "").partition("\n")[0]
    result = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    kind = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    return f'    {kind} {function.name}({ast.unparse(function.args)}){result}:\n        """{said}"""'


def place(module: str, node: ast.ClassDef) -> str:
    """Where a class that implements a generated one belongs: OrdersHistoryConsumer → services/orders/events.py."""
    if module.endswith(".handlers"):
        return f"services/gateway/rest/{node.name.removesuffix('Handler').lower()}.py"
    if module.endswith(".rpc"):
        return f"services/{module.split('.')[-3]}/rpc.py"
    (queue,) = [item.value for item in node.body if isinstance(item, ast.AnnAssign) and _named(item.target, "QUEUE")]
    return f"services/{ast.literal_eval(queue or ast.Constant('')).partition('.')[0]}/events.py"


def _named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

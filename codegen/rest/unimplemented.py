"""Search for handlers, consumers and servicers in the contracts that no service implements."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from codegen.errors import ContractError

HANDLERS_GLOB = "generated/rest/*/handlers.py"
FORWARDING_GLOB = "generated/rest/*/forwarding_handlers.py"
CONSUMERS_FILE = "generated/events/consumers.py"
SERVICERS_GLOB = "generated/proto/*/*/v1/rpc.py"
FOLDERS_WITHOUT_HANDLERS = ("runtime", "sandbox")
"""Folders in `services/` that implement no contract of the mesh."""

type ClassName = tuple[str, str]
"""Dotted module name and class name."""


@dataclass(frozen=True)
class ClassInfo:
    """A class of a service: file, base classes and own methods."""

    path: str
    bases: tuple[ClassName, ...]
    methods: frozenset[str]


def find_unimplemented(root: Path) -> list[str]:
    """Return a message for each unimplemented method or class, with its expected place.

    Reads `generated/` and `services/` of `root`.
    """
    classes = dict(iter_service_classes(root))
    return [
        message for path in sorted(iter_abstract_modules(root)) for message in _find_unimplemented(root, path, classes)
    ]


def iter_abstract_modules(root: Path) -> Iterator[Path]:
    """Yield the generated modules with abstract classes."""
    yield from (*root.glob(HANDLERS_GLOB), root / CONSUMERS_FILE, *root.glob(SERVICERS_GLOB))


def iter_service_classes(root: Path) -> Iterator[tuple[ClassName, ClassInfo]]:
    """Yield the classes of all services, and the generated handlers that forward operations.

    Raises ContractError for a module that is not valid Python.
    """
    folders = [each for each in (root / "services").iterdir() if each.name not in FOLDERS_WITHOUT_HANDLERS]
    for path in [*root.glob(FORWARDING_GLOB), *sorted(path for folder in folders for path in folder.rglob("*.py"))]:
        text = path.read_text(encoding="utf-8")
        if "class " not in text:
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            location = f"{path.relative_to(root)}:{error.lineno}"
            raise ContractError(f"{location}: {error.msg}; correct the Python syntax") from error
        module = get_module_name(root, path)
        own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        imported: dict[str, ClassName] = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                names = [base.id for base in node.bases if isinstance(base, ast.Name)]
                bases = tuple((module, name) if name in own else imported.get(name, ("", name)) for name in names)
                functions = frozenset(item.name for item in node.body if isinstance(item, _FUNCTION_NODES))
                yield (module, node.name), ClassInfo(str(path.relative_to(root)), bases, functions)


_FUNCTION_NODES = (ast.FunctionDef, ast.AsyncFunctionDef)


def get_module_name(root: Path, path: Path) -> str:
    """Return the dotted name of a module: generated/events/consumers.py gives generated.events.consumers."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def list_ancestors(classes: dict[ClassName, ClassInfo], name: ClassName) -> set[ClassName]:
    """Return the class and all its base classes."""
    names = {name}
    if name in classes:
        for base in classes[name].bases:
            names |= list_ancestors(classes, base)
    return names


def _find_unimplemented(root: Path, path: Path, classes: dict[ClassName, ClassInfo]) -> Iterator[str]:
    module = get_module_name(root, path)
    ancestors_by_name = {name: list_ancestors(classes, name) for name in classes}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef):
            continue
        abstract = {item.name: item for item in node.body if isinstance(item, _FUNCTION_NODES) and _is_abstract(item)}
        subclasses = {name for name, bases in ancestors_by_name.items() if (module, node.name) in bases}
        leaves = sorted(
            name for name in subclasses if not any(name in ancestors_by_name[other] for other in subclasses - {name})
        )
        if abstract and not leaves:
            expected_path = get_expected_path(module, node)
            yield f"{expected_path}: no class implements {node.name}; add one and register it in app.py"
        for name in leaves:
            implemented = {
                method for each in ancestors_by_name[name] & classes.keys() for method in classes[each].methods
            }
            if PurePath(classes[name].path).full_match(FORWARDING_GLOB):
                place = f"{get_expected_path(module, node)}: a subclass of {name[1]}, registered in app.py, lacks"
            else:
                place = f"{classes[name].path}: the class {name[1]} lacks"
            for method in abstract.keys() - implemented:
                yield f"{place}\n{render_function_stub(abstract[method])}"


def _is_abstract(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "abstractmethod" for each in function.decorator_list)


def render_function_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Render the signature of the function with the first line of its docstring."""
    summary = (ast.get_docstring(function) or "").partition("\n")[0]
    result = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    kind = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    return f'    {kind} {function.name}({ast.unparse(function.args)}){result}:\n        """{summary}"""'


def get_expected_path(module: str, node: ast.ClassDef) -> str:
    """Return the expected file of an implementation, for example services/loans/entrypoints/consumers.py."""
    if module.endswith(".handlers"):
        return f"services/gateway/entrypoints/rest/{node.name.removesuffix('Handler').lower()}.py"
    if module.endswith(".rpc"):
        return f"services/{module.split('.')[-3]}/entrypoints/rpc.py"
    (queue,) = [item.value for item in node.body if isinstance(item, ast.AnnAssign) and _is_name(item.target, "QUEUE")]
    service = ast.literal_eval(queue or ast.Constant("")).partition(".")[0]
    return f"services/{service}/entrypoints/consumers.py"


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

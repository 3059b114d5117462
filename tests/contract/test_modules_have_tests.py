"""Every module of 40 lines or more has a unit test file of its name, or an entry that names its covering test.

The entries are in tests/modules_without_unit_tests.yaml. The covering test reaches the module: it imports it, directly
or through a test support module, contains its name, or starts its package as a process, as all tests in tests/e2e do.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.conftest import ROOT

ENTRIES_FILE = "tests/modules_without_unit_tests.yaml"
CHECKED_FOLDERS = ("services", "codegen", "deploy")
CHECKED_FILES = ("migrations/check.py", "migrations/common.py")
COVERING_FOLDERS = ("tests/integration", "tests/contract", "tests/e2e")
MIN_LINES = 40
MIN_REASON_LENGTH = 20


class Entry(NamedTuple):
    """Module without a unit test file, and the test that covers it instead."""

    module: str
    covered_by: str
    reason: str


def load_entries(root: Path) -> list[Entry]:
    """Return the entries of the list."""
    return [
        Entry(**item) for item in yaml.load((root / ENTRIES_FILE).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    ]


def list_modules(root: Path) -> list[str]:
    """Return the modules that need a unit test file or an entry, except packages' `__init__` and `__main__`."""
    paths = [path for folder in CHECKED_FOLDERS for path in (root / folder).rglob("*.py")]
    paths += [root / name for name in CHECKED_FILES if (root / name).exists()]
    return sorted(
        path.relative_to(root).as_posix()
        for path in paths
        if not path.name.startswith("__") and len(path.read_text(encoding="utf-8").splitlines()) >= MIN_LINES
    )


def unit_test_of(module: str) -> str:
    """Return the path of a module's unit test file; the folders mirror the packages, without `services`."""
    path = Path(module.removeprefix("services/"))
    return (Path("tests/unit") / path.with_name(f"test_{path.name}")).as_posix()


def imported_names(path: Path) -> set[str]:
    """Return the modules, and names within modules, that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(source)):
                names |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
    return names


def support_files(root: Path, test: Path) -> set[Path]:
    """Return the test, the conftest.py beside it and the test support modules that these import."""
    found: set[Path] = set()
    pending = [test, test.with_name("conftest.py")]
    while pending:
        path = pending.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        pending += [root / f"{name.replace('.', '/')}.py" for name in imported_names(path) if name.startswith("tests.")]
    return found


def is_module_covered(root: Path, covering_test: Path, module: str) -> bool:
    """Return whether a test imports the module, contains its name, or starts the package of an `app` module.

    A name with a placeholder for the service (`services.{name}.settings`) stands for all services.
    """
    name = module.removesuffix(".py").replace("/", ".")
    if name.endswith(".app") and covering_test.is_relative_to(root / "tests/e2e"):
        return True
    files = support_files(root, covering_test)
    if any(name in imported_names(file) for file in files):
        return True
    patterns = [
        re.escape(name),
        re.escape(module),
        re.sub(r"^services\\\.\w+", r"services\\.\\{\\w+\\}", re.escape(name)),
    ]
    if name.endswith(".app"):
        package = re.escape(name.removesuffix(".app"))
        patterns.append(rf"-m\"?,? \"?{package}")
    mention = re.compile(rf"(?<![\w.])(?:{'|'.join(patterns)})(?![\w.]*\w)")
    return any(mention.search(file.read_text(encoding="utf-8")) for file in files)


def find_errors(root: Path) -> Iterator[str]:
    """Yield the violations of the rule, each with its correction."""
    entries = load_entries(root)
    listed = [entry.module for entry in entries]
    if listed != sorted(set(listed)):
        yield f"{ENTRIES_FILE}: entries are not sorted by module, or a module has two"
    modules = list_modules(root)
    for module in modules:
        if not (root / unit_test_of(module)).exists() and module not in listed:
            yield f"{module} has no test: add {unit_test_of(module)}, or an entry to {ENTRIES_FILE}"
    for entry in entries:
        covering_test = root / entry.covered_by
        if entry.module not in modules or (root / unit_test_of(entry.module)).exists():
            yield f"{entry.module} needs no entry: remove it from {ENTRIES_FILE}"
        elif not entry.covered_by.startswith(COVERING_FOLDERS) or not covering_test.is_file():
            yield f"{entry.module}: {entry.covered_by} is not a test file of {', '.join(COVERING_FOLDERS)}"
        elif not is_module_covered(root, covering_test, entry.module):
            yield f"{entry.module}: {entry.covered_by} does not import or name it"
        elif len(entry.reason) < MIN_REASON_LENGTH:
            yield f"{entry.module}: its entry has no reason"


def test_every_module_has_a_unit_test_or_an_entry() -> None:
    assert list(find_errors(ROOT)) == []


MODULE = "services/shop/orders.py"
COVERING_TEST = "tests/integration/test_orders.py"
REASON = "SQL only, run on a real database"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one module, covered by an integration test."""
    write(tmp_path, MODULE, "x = 1\n" * MIN_LINES)
    write(tmp_path, COVERING_TEST, "from services.shop import orders\n")
    write_entries(tmp_path, (MODULE, COVERING_TEST, REASON))
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_entries(root: Path, *entries: tuple[str, str, str]) -> None:
    items = [dict(zip(Entry._fields, entry, strict=True)) for entry in entries]
    write(root, ENTRIES_FILE, yaml.safe_dump(items))


def test_module_without_test_and_entry_is_an_error(root: Path) -> None:
    write_entries(root)
    write(root, "services/shop/small.py", "x = 1\n" * (MIN_LINES - 1))
    assert list(find_errors(root)) == [
        f"{MODULE} has no test: add tests/unit/shop/test_orders.py, or an entry to {ENTRIES_FILE}"
    ]


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("services/runtime/core/ids.py", "tests/unit/runtime/core/test_ids.py"),
        ("codegen/rest/models.py", "tests/unit/codegen/rest/test_models.py"),
        ("migrations/check.py", "tests/unit/migrations/test_check.py"),
    ],
)
def test_unit_test_folders_mirror_the_packages(tmp_path: Path, module: str, test: str) -> None:
    write(tmp_path, module, "x = 1\n" * MIN_LINES)
    write_entries(tmp_path)
    assert len(list(find_errors(tmp_path))) == 1
    write(tmp_path, test, "")
    assert list(find_errors(tmp_path)) == []


@pytest.mark.parametrize("stale", ["module deleted", "module shortened", "unit test added"])
def test_stale_entry_is_an_error(root: Path, stale: str) -> None:
    match stale:
        case "module deleted":
            (root / MODULE).unlink()
        case "module shortened":
            write(root, MODULE, "x = 1\n")
        case _:
            write(root, "tests/unit/shop/test_orders.py", "")
    assert list(find_errors(root)) == [f"{MODULE} needs no entry: remove it from {ENTRIES_FILE}"]


@pytest.mark.parametrize("covered_by", ["tests/integration/test_missing.py", "tests/unit/shop/test_shop.py"])
def test_covering_test_must_exist_in_allowed_folder(root: Path, covered_by: str) -> None:
    write(root, "tests/unit/shop/test_shop.py", "from services.shop import orders\n")
    write_entries(root, (MODULE, covered_by, REASON))
    assert [f"{covered_by} is not a test file" in error for error in find_errors(root)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "import services.shop.orders\n",
        "from services.shop.orders import Order\n",
        '"""Orders (services/shop/orders.py)."""\n',
        '"""Orders of services.shop.orders."""\n',
        "from tests.integration.fixtures.shop import Shop\n",
        'import_module(f"services.{name}.orders")\n',
    ],
)
def test_covering_test_reaches_module(root: Path, text: str) -> None:
    write(root, "tests/integration/fixtures/shop.py", "from services.shop.orders import Order\n")
    write(root, COVERING_TEST, text)
    assert list(find_errors(root)) == []


@pytest.mark.parametrize("text", ["", "import services.shop.orders_archive\n", '"""services.shop.orders.tables"""\n'])
def test_covering_test_of_other_module_is_an_error(root: Path, text: str) -> None:
    write(root, COVERING_TEST, text)
    assert list(find_errors(root)) == [f"{MODULE}: {COVERING_TEST} does not import or name it"]


def test_composition_root_is_covered_by_its_process(root: Path) -> None:
    write(root, "services/shop/app.py", "x = 1\n" * MIN_LINES)
    write_entries(root, ("services/shop/app.py", COVERING_TEST, REASON), (MODULE, COVERING_TEST, REASON))
    assert len(list(find_errors(root))) == 1
    write(root, "tests/integration/conftest.py", 'COMMAND = ["python", "-m", "services.shop", "serve"]\n')
    assert list(find_errors(root)) == []


def test_entries_are_sorted_unique_and_have_a_reason(root: Path) -> None:
    write_entries(root, (MODULE, COVERING_TEST, REASON), (MODULE, COVERING_TEST, "no"))
    assert list(find_errors(root)) == [
        f"{ENTRIES_FILE}: entries are not sorted by module, or a module has two",
        f"{MODULE}: its entry has no reason",
    ]

"""Applicability of all mutations: mutation tests run rarely, and the code that they replace changes often."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.chaos import mutation as chaos
from tests.fuzz import mutation as fuzz
from tests.mutation import (
    ROOT,
    DetectableMutation,
    InapplicableMutationError,
    Mutation,
    find_contract_errors,
    find_test_failures,
)
from tests.security import mutation as security

MUTATIONS = [mutation for mutation in (*chaos.MUTATIONS, *fuzz.MUTATIONS, *security.MUTATIONS) if mutation.file]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_is_applicable(mutation: Mutation, tmp_path: Path) -> None:
    copy = tmp_path / mutation.file
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / mutation.file, copy)
    mutation.apply(tmp_path)
    if copy.suffix == ".py":
        ast.parse(copy.read_text(encoding="utf-8"))
    assert copy.read_text(encoding="utf-8") != (ROOT / mutation.file).read_text(encoding="utf-8")


def test_inapplicable_mutation_is_reported(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\n", encoding="utf-8")
    with pytest.raises(InapplicableMutationError, match="contains 0 times instead of once: b = 1"):
        Mutation("missing text", "code.py", {"b = 1": "b = 2"}).apply(tmp_path)


@pytest.mark.parametrize(
    "mutation",
    [each for each in (*fuzz.MUTATIONS, *security.MUTATIONS) if each.found_by],
    ids=lambda mutation: mutation.name,
)
def test_test_that_finds_the_mutation_exists(mutation: DetectableMutation) -> None:
    path, _, name = mutation.found_by.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_only_reported_errors_of_the_generator_find_a_defect() -> None:
    traceback = "Traceback (most recent call last):\n  raise ValueError(name)\nValueError: contract: x\n"
    assert find_contract_errors(traceback) == []
    assert find_contract_errors("contract: no limit\n" + traceback) == ["contract: no limit"]


def test_only_failures_of_the_named_test_find_a_defect() -> None:
    test = "tests/unit/test_a.py::test_a"
    failures = [f"FAILED {test}", f"FAILED {test}[one] - assert 1", f"FAILED {test} - assert 2"]
    others = [f"FAILED {test}_long - x", f"ERROR {test} - x", "FAILED tests/unit/test_b.py::test_a - x", "1 failed"]
    broken = [f"FAILED {test} - NameError: name 'a' is not defined", f"FAILED {test}[one] - TypeError: 'a' - 1"]
    assert find_test_failures("\n".join([*others, *broken, *failures]), test) == failures

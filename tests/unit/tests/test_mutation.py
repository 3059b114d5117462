"""Proofs run seldom; the code that their defects are planted into changes often."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.chaos import mutation as chaos
from tests.fuzz import mutation as fuzz
from tests.mutation import ROOT, InapplicableMutationError, Mutation

PLANTED = [defect for defect in (*chaos.MUTATIONS, *fuzz.PLANTED) if defect.file]


@pytest.mark.parametrize("defect", PLANTED, ids=lambda defect: defect.name)
def test_a_defect_can_still_be_planted(defect: Mutation, tmp_path: Path) -> None:
    copied = tmp_path / defect.file
    copied.parent.mkdir(parents=True)
    shutil.copy(ROOT / defect.file, copied)
    defect.apply(tmp_path)
    ast.parse(copied.read_text())
    assert copied.read_text() != (ROOT / defect.file).read_text()


def test_code_that_has_changed_is_said(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\n")
    with pytest.raises(InapplicableMutationError, match="does not hold once: b = 1"):
        Mutation("gone", "code.py", {"b = 1": "b = 2"}).apply(tmp_path)

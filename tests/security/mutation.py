"""Mutation test of the measures against hostile clients and overload (`make test-security-mutations`).

Each defect of tests/security/injected_defects.yaml is injected into a copy of the repository, in which the test that is
named beside it must fail, or code generation. In an unmutated copy all these tests must pass. Tests with servers use
their own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.mutation import DetectableMutation, run_mutations

DEFECTS = Path(__file__).with_name("injected_defects.yaml")
PORT_OFFSET = 11000


def load_mutations() -> dict[str, list[DetectableMutation]]:
    """Return the mutations of all injected defects, by subject."""
    subjects = yaml.load(DEFECTS.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {
        subject: [
            DetectableMutation(f"{subject}: {each['defect']}", each["file"], {each["old"]: each["new"]}, each["test"])
            for each in defects
        ]
        for subject, defects in subjects.items()
    }


MUTATIONS = [mutation for mutations in load_mutations().values() for mutation in mutations]


def main(words: Sequence[str]) -> int:
    """Return 0 if the tests find each defect. Words select the defects whose subject and name contain all of them."""
    selected = [each for each in MUTATIONS if all(word in each.name for word in words)]
    return run_mutations(selected, PORT_OFFSET)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

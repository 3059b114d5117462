"""Mutation testing: defects are injected into a copy of the repository to check that a test suite finds them."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


class InapplicableMutationError(Exception):
    """The source code has changed, so that the mutation must be adapted."""


@dataclass(frozen=True)
class Mutation:
    """Text replacements in one file. The unmutated copy, in which the tests must pass, has no file."""

    name: str
    file: str = ""
    replacements: Mapping[str, str] = field(default_factory=dict)

    def apply(self, repository_dir: Path) -> None:
        """Apply the replacements. Raises InapplicableMutationError unless each text occurs exactly once."""
        for old, new in self.replacements.items():
            text = (repository_dir / self.file).read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise InapplicableMutationError(f"{self.file} contains {text.count(old)} times instead of once: {old}")
            (repository_dir / self.file).write_text(text.replace(old, new), encoding="utf-8")


def copy_repository(target_dir: Path) -> None:
    """Copy all tracked and all unignored files, and `generated/`, which has ignored files.

    `node_modules` is linked; the virtual environment is shared.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target_dir / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target_dir / name)
    shutil.copytree(
        ROOT / "generated", target_dir / "generated", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    (target_dir / "node_modules").symlink_to(ROOT / "node_modules")

"""Defects that are planted into a copy of the repository, to show that tests find them."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


class InapplicableMutationError(Exception):
    """The code has changed; the defect must be planted otherwise."""


@dataclass(frozen=True)
class Mutation:
    """What is replaced in which file; nothing at all for the copy that must pass."""

    name: str
    file: str = ""
    replacements: Mapping[str, str] = field(default_factory=dict)

    def apply(self, repository_dir: Path) -> None:
        """Raises CannotPlantError when what is to be replaced is not there exactly once."""
        for old, new in self.replacements.items():
            text = (repository_dir / self.file).read_text()
            if text.count(old) != 1:
                raise InapplicableMutationError(f"{self.file} does not hold once: {old}")
            (repository_dir / self.file).write_text(text.replace(old, new))


def copy_repository(target_dir: Path) -> None:
    """Everything that is in the repository, or would be; the virtual environment and Node's packages are shared."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target_dir / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target_dir / name)
    (target_dir / "node_modules").symlink_to(ROOT / "node_modules")

"""Defects that are planted into a copy of the repository, to show that tests find them."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


class CannotPlantError(Exception):
    """The code has changed; the defect must be planted otherwise."""


@dataclass(frozen=True)
class Defect:
    """What is replaced in which file; nothing at all for the copy that must pass."""

    name: str
    file: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)

    def plant(self, where: Path) -> None:
        """Raises CannotPlantError when what is to be replaced is not there exactly once."""
        for old, new in self.replaced.items():
            text = (where / self.file).read_text()
            if text.count(old) != 1:
                raise CannotPlantError(f"{self.file} does not hold once: {old}")
            (where / self.file).write_text(text.replace(old, new))


def copy(to: Path) -> None:
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
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    (to / "node_modules").symlink_to(ROOT / "node_modules")

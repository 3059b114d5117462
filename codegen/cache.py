"""What slow tools have made of the same input before; kept below `.local/`, and never needed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".local/codegen"


def cached(*said: str, make: Callable[[], str]) -> str:
    """What `make` makes, or has made before; `said` is all that it depends on, the tool's version included."""
    path = FOLDER / hashlib.sha256("\0".join(said).encode()).hexdigest()
    if not path.exists():
        made = make()
        FOLDER.mkdir(parents=True, exist_ok=True)
        fresh = FOLDER / f"{path.name}.{os.getpid()}"
        fresh.write_text(made)
        fresh.replace(path)
    return path.read_text()

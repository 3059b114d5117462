"""What slow tools have made of the same input before; kept below `.local/`, and never needed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

CACHE_FOLDER = Path(__file__).parents[1] / ".local/codegen"


def get_or_create(*said: str, create: Callable[[], str]) -> str:
    """What `make` makes, or has made before; `said` is all that it depends on, the tool's version included."""
    path = CACHE_FOLDER / hashlib.sha256("\0".join(said).encode()).hexdigest()
    if not path.exists():
        made = create()
        CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
        fresh = CACHE_FOLDER / f"{path.name}.{os.getpid()}"
        fresh.write_text(made)
        fresh.replace(path)
    return path.read_text()

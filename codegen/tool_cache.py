"""Cache for the output of slow external tools, below `.local/`."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

CACHE_FOLDER = Path(__file__).parents[1] / ".local/codegen"


def get_or_create(*key: str, create: Callable[[], str]) -> str:
    """Return the cached output for `key`, or the result of `create`.

    `key` contains everything that the output depends on, including the tool's version.
    """
    path = CACHE_FOLDER / hashlib.sha256("\0".join(key).encode()).hexdigest()
    if not path.exists():
        output = create()
        CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
        temporary = CACHE_FOLDER / f"{path.name}.{os.getpid()}"
        temporary.write_text(output, encoding="utf-8")
        temporary.replace(path)
    return path.read_text(encoding="utf-8")

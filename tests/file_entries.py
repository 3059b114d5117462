"""Recorder of the entries into source files: the calls of a file's functions from other files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

CONSTRUCTION = frozenset({"__init__", "<lambda>"})
"""Functions whose calls are not entries, since they construct an object or run as a part of their caller."""


@contextmanager
def recording_file_entries(folder: Path) -> Iterator[list[str]]:
    """Record the relative path of each file below the folder that is entered, once per entry and in order.

    Of the files below the folder, that of the innermost frame is the caller.
    """
    entries: list[str] = []
    prefix = f"{folder}/"

    def find_file(frame: FrameType | None) -> str | None:
        while frame is not None and not frame.f_code.co_filename.startswith(prefix):
            frame = frame.f_back
        return None if frame is None else frame.f_code.co_filename

    def on_start(code: CodeType, _: int) -> None:
        file = code.co_filename
        if file.startswith(prefix) and code.co_name not in CONSTRUCTION and find_file(sys._getframe(2)) != file:
            entries.append(file.removeprefix(prefix))

    tool, event = sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START
    sys.monitoring.use_tool_id(tool, "file entries")
    sys.monitoring.register_callback(tool, event, on_start)
    sys.monitoring.set_events(tool, event)
    try:
        yield entries
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.register_callback(tool, event, None)
        sys.monitoring.free_tool_id(tool)

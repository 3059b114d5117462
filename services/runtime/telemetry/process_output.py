"""Output of a process as log records: uncaught exceptions, warnings, and what libraries write to standard error."""

import atexit
import io
import logging
import sys
import threading
from typing import Any, override

from services.runtime.telemetry.logging_setup import setup_logging

log = logging.getLogger(__name__)

_MAX_LINE_CHARS = 64 * 1024
"""Characters without a line break after which a line is logged."""


class _LogStream(io.TextIOBase):
    """Text stream that logs each line."""

    def __init__(self) -> None:
        self._line = ""

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._log(line)
        if len(self._line) > _MAX_LINE_CHARS:
            self.close_line()
        return len(text)

    def close_line(self) -> None:
        """Log a line that has no line break yet."""
        line, self._line = self._line, ""
        self._log(line)

    def _log(self, line: str) -> None:
        if line.strip():
            log.error("standard error: %s", line)


def capture(service: str) -> None:
    """Log uncaught exceptions of all threads, warnings, and lines of Python code on standard error.

    It is called before the settings with the log level are loaded, so that their errors are logged too.
    """
    setup_logging(service, "INFO")
    sys.excepthook = _log_exception
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread_exception
    logging.captureWarnings(True)
    stream = _LogStream()
    sys.stderr = stream
    atexit.register(stream.close_line)


def _log_exception(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    log.critical("process ends: uncaught exception", exc_info=(kind, error, traceback))


def _log_thread_exception(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        error = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        log.error("thread ends: uncaught exception", exc_info=error)


def _log_unraisable(arguments: Any) -> None:
    error = (arguments.exc_type, arguments.exc_value or arguments.exc_type(), arguments.exc_traceback)
    log.error("exception ignored in %r", arguments.object, exc_info=error)

"""Structured logging: one JSON object per line, with trace and span ids, and redaction of sensitive data."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO, override

import msgspec
from opentelemetry import trace

_SENSITIVE_PATTERN = re.compile(
    r"""(?P<start>://[^\s:/@]*+:)(?:(?!://)[^\s@])++(?:@(?:(?!://)[^\s@])*+(?=@))*+(?=@)  # the password in a URL
    | (?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.-]*\w  # an e-mail address
    | \beyJ(?:(?!-eyJ)[\w-])++\.[\w.-]*[\w-]    # a JWT
    | (?<=[Bb]earer\ )[^\s'"]+                 # a bearer token
    | (?<=password=)[^\s&'"]+                  # a password in parameters of a connection or a form
    | \bwhsec_[\w+/=-]+                        # a webhook secret
    | (?<=DETAIL:\ ).+                           # values in an error of PostgreSQL
    | (?<=dup\ key:\ ).+                         # values in an error of MongoDB
    | (?<=execute\ command\ ).+                  # a command in an error of MongoDB
    | (?<=full\ error:\ ).+                      # an error of MongoDB as a document, with the failed operations
    | (?<![\w+-])\+[1-9]\d{6,14}\b             # a phone number
    """,
    re.VERBOSE,
)
"""Sensitive data that messages of libraries may contain.

Each alternative reads a character once, without backtracking: otherwise a long word would block the event loop.
"""


def redact(text: str) -> str:
    """Return the text with secrets and personal data replaced, as far as their format is recognisable."""
    return _SENSITIVE_PATTERN.sub(lambda match: f"{match['start'] or ''}[redacted]", text)


class _JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            entry["trace_id"] = trace.format_trace_id(context.trace_id)
            entry["span_id"] = trace.format_span_id(context.span_id)
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return msgspec.json.encode({name: _replace_surrogates(value) for name, value in entry.items()}).decode()


class _JsonHandler(logging.StreamHandler[TextIO]):
    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Log a record that cannot be formatted, for example because its arguments do not fit its message."""
        message = f"invalid log record at {record.pathname}:{record.lineno}: {record.msg!r}"
        self.emit(logging.LogRecord(record.name, logging.ERROR, record.pathname, record.lineno, message, (), None))


def _replace_surrogates(text: str) -> str:
    """Return the text without lone surrogates, which UTF-8 cannot encode."""
    return text.encode(errors="backslashreplace").decode()


def setup_logging(service: str, level: str) -> None:
    """Write all log records to standard output; records of libraries from level WARNING."""
    handler = _JsonHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for library in (
        "alembic",
        "connexion",
        "google",
        "httpcore",
        "httpx",
        "pika",
        "psycopg.pool",
        "pymongo",
        "urllib3",
        "uvicorn",
    ):
        logging.getLogger(library).setLevel(logging.WARNING)

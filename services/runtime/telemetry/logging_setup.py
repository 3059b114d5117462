"""Structured logs: one JSON object a line, with the trace it belongs to."""

import logging
import re
import sys
from datetime import UTC, datetime

import msgspec
from opentelemetry import trace

_SENSITIVE_PATTERN = re.compile(
    r"""(?P<start>://[^\s:/@]*:)[^\s@]+(?=@)     # the password in a URL
    | [\w.+-]+@[\w-]+\.[\w.-]*\w              # an e-mail address
    | \beyJ[\w-]+\.[\w.-]*[\w-]                  # a token
    | (?<=Bearer\ )[^\s'"]+                    # another
    | \bwhsec_[\w+/=-]+                        # a webhook's secret
    | (?<=DETAIL:\ ).+                           # the values that PostgreSQL has stumbled over
    | (?<![\w+-])\+[1-9]\d{6,14}\b             # a phone number
    """,
    re.VERBOSE,
)
"""What a library's message may hold although nobody of ours would write it."""


def redact(text: str) -> str:
    """The text without what can be told by its form to be secret or personal."""
    return _SENSITIVE_PATTERN.sub(lambda found: f"{found['start'] or ''}[redacted]", text)


class _JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
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
        return msgspec.json.encode(entry).decode()


def setup_logging(service: str, level: str) -> None:
    """Sends every logger's records to standard output; libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in (
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
        logging.getLogger(chatty).setLevel(logging.WARNING)

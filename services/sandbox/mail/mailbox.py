"""Emulated mail server: an SMTP sink and a mailbox for every recipient address."""

import html
import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.http_helpers import create_json_response
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase, format_now

MAX_MAIL_BYTES = 1024 * 1024
"""Maximum size of a mail."""

_CODE_PATTERNS = (
    re.compile(r"[?&](?:oobCode|code)=([A-Za-z0-9_-]{4,128})"),
    re.compile(r"\bcode(?: is)?:\s*([A-Za-z0-9_-]{4,128})(?![A-Za-z0-9_-])", re.IGNORECASE),
    re.compile(r"^[ \t]*((?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{6,128})[ \t]*\r?$", re.MULTILINE),
    re.compile(r"^[ \t]*([A-Za-z0-9_-]{20,128})[ \t]*\r?$", re.MULTILINE),
)
"""Patterns of codes in mails: in a link, after "Code:", or on a separate line."""


class Mail(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mail as shown in the mailbox."""

    subject: str
    text: str
    html: str
    received_at: str
    code: str | None = None


def find_code(text: str) -> str | None:
    """Return the verification code in the text, or None."""
    return next((match[1] for pattern in _CODE_PATTERNS if (match := pattern.search(text))), None)


def _html_to_text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^<>]*>", "\n", markup))


class Mailbox:
    """All mailboxes, and the SMTP handler that fills them."""

    def __init__(self, database: SqliteDatabase, renderer: PageRenderer) -> None:
        self._database = database
        self._renderer = renderer

    def build_routes(self) -> list[Route]:
        """Return the routes of the mailbox, as JSON and as a page."""
        return [
            Route("/mailbox", self.show_mailbox_page, methods=["GET"]),
            Route("/mailbox/{address:path}", self.list_mails, methods=["GET"]),
        ]

    def deliver(self, address: str, subject: str, text: str, markup: str = "") -> None:
        """Store a mail in the mailbox of an address."""
        self._database.insert(
            "mails", address=address.lower(), subject=subject, text=text, html=markup, received_at=format_now()
        )

    def _load_mails(self, address: str) -> list[Mail]:
        rows = self._database.fetch_all("SELECT * FROM mails WHERE address = ? ORDER BY id", address.lower())
        return [
            Mail(
                row["subject"],
                row["text"],
                row["html"],
                row["received_at"],
                find_code(row["text"]) or find_code(_html_to_text(row["html"])),
            )
            for row in rows
        ]

    async def list_mails(self, request: Request) -> Response:
        """Return the mails of an address, oldest first."""
        return create_json_response(self._load_mails(request.path_params["address"]))

    async def show_mailbox_page(self, request: Request) -> Response:
        """Show the mails of an address, newest first, and the addresses that have mail."""
        address = request.query_params.get("address", "")
        mailboxes = self._database.fetch_all(
            "SELECT address, count(*) AS mails FROM mails GROUP BY address ORDER BY max(id) DESC LIMIT 100"
        )
        mails = [
            {"mail": mail, "text": mail.text or _html_to_text(mail.html)}
            for mail in reversed(self._load_mails(address)[-100:])
        ]
        return self._renderer.render("mailbox.html", address=address, mails=mails, mailboxes=mailboxes)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # name defined by aiosmtpd
        """Store the mail for each recipient."""
        content = envelope.content
        message = message_from_bytes(
            content.encode() if isinstance(content, str) else content or b"", policy=policy.default
        )
        assert isinstance(message, EmailMessage)  # noqa: S101  # guaranteed by the default policy
        for address in envelope.rcpt_tos:
            self.deliver(
                address,
                str(message["subject"] or ""),
                _read_body_part(message, "plain"),
                _read_body_part(message, "html"),
            )
        return "250 OK"


def _read_body_part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    if part is None:
        return ""
    content = part.get_content()
    return content if isinstance(content, str) else ""

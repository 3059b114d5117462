"""Mail by SMTP."""

from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import urlsplit

import aiosmtplib

from services.notifications.usecases import Mail, NotYet

TIMEOUT = 10.0
"""Seconds a server may take."""


class Smtp:
    """Sends through one server: `smtp://[user:password@]host:port`, or `smtps://…` for TLS from the first byte."""

    def __init__(self, url: str, sender: str) -> None:
        self._server = urlsplit(url)
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """Hands the mail over. Raises NotYet when the server is away or does not take it now."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{mail.id}@delivery>"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        try:
            await aiosmtplib.send(
                message,
                hostname=self._server.hostname,
                port=self._server.port,
                username=self._server.username,
                password=self._server.password,
                use_tls=self._server.scheme == "smtps",
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPException as error:
            raise NotYet(f"the mail server: {type(error).__name__}") from error

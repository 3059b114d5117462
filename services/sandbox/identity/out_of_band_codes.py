"""Codes out of band: what a person proves by reading their mail."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

import msgspec

from services.sandbox.identity.accounts import Account, AccountRepository, IdentityError, OobCodeKind, normalise_email

type DeliverMail = Callable[[str, str, str], None]
"""Puts a mail into the mailbox: address, subject, text."""

type Text = Annotated[str, msgspec.Meta(max_length=4096)]

_MAIL_TEMPLATES = {
    OobCodeKind.VERIFY_EMAIL: ("Verify your email", "verifyEmail"),
    OobCodeKind.PASSWORD_RESET: ("Reset your password", "resetPassword"),
    OobCodeKind.VERIFY_AND_CHANGE_EMAIL: ("Verify your new email", "verifyAndChangeEmail"),
}


class SendOobCodeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """accounts:sendOobCode."""

    request_type: OobCodeKind
    email: Text | None = None
    id_token: Text | None = None
    new_email: Text | None = None
    continue_url: Text | None = None
    can_handle_code_in_app: bool = False
    return_oob_link: bool = False


class OobCodeSender:
    """Makes codes, and mails or returns them."""

    def __init__(self, accounts: AccountRepository, deliver: DeliverMail, project: str) -> None:
        self._accounts = accounts
        self._deliver = deliver
        self._project = project

    def send(self, body: SendOobCodeRequest, owner: Account | None, *, is_trusted: bool = False) -> dict[str, object]:
        """The answer; `owner` is who the ID token is about, a trusted server needs none. Raises IdentityError."""
        if owner is None and not is_trusted and body.request_type is not OobCodeKind.PASSWORD_RESET:
            raise IdentityError("MISSING_ID_TOKEN")
        answer: dict[str, object] = {"kind": "identitytoolkit#GetOobConfirmationCodeResponse"}
        account = owner or self._accounts.find_by_email(normalise_email(body.email or ""))
        if account is None:
            if body.return_oob_link:
                raise IdentityError("EMAIL_NOT_FOUND")
            return answer | {"email": body.email}  # a stranger is not told who has an account
        new_email = None
        if body.request_type is OobCodeKind.VERIFY_AND_CHANGE_EMAIL:
            if not body.new_email:
                raise IdentityError("MISSING_NEW_EMAIL")
            new_email = normalise_email(body.new_email)
            if self._accounts.find_by_email(new_email):
                raise IdentityError("EMAIL_EXISTS")
        code = self._accounts.create_code(account, body.request_type, new_email)
        answer |= {"email": account.email}
        subject, mode = _MAIL_TEMPLATES[body.request_type]
        link = self._build_link(mode, code, body.continue_url)
        if body.return_oob_link:
            return answer | {"oobLink": link, "oobCode": code}
        self._deliver(
            new_email or account.email,
            subject,
            f"{subject}: follow the link, or enter the code.\n\n{link}\n\nCode: {code}\n",
        )
        return answer

    def _build_link(self, mode: str, code: str, continue_url: str | None) -> str:
        query = {"mode": mode, "oobCode": code, "apiKey": "sandbox", "lang": "en"}
        if continue_url:
            query["continueUrl"] = continue_url
        return f"https://{self._project}.firebaseapp.com/__/auth/action?{urlencode(query)}"

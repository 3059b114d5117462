"""Out-of-band codes, with which users prove that they own an e-mail address."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlencode

import msgspec

from services.sandbox.identity.accounts import Account, AccountRepository, IdentityError, OobCodeKind, normalise_email

type DeliverMail = Callable[[str, str, str], None]
"""Delivers a mail: address, subject, text."""

type Text = Annotated[str, msgspec.Meta(max_length=4096)]

_MAIL_TEMPLATES = {
    OobCodeKind.VERIFY_EMAIL: ("Verify your email", "verifyEmail"),
    OobCodeKind.PASSWORD_RESET: ("Reset your password", "resetPassword"),
    OobCodeKind.VERIFY_AND_CHANGE_EMAIL: ("Verify your new email", "verifyAndChangeEmail"),
}


class SendOobCodeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Request of accounts:sendOobCode."""

    request_type: OobCodeKind
    email: Text | None = None
    id_token: Text | None = None
    new_email: Text | None = None
    continue_url: Text | None = None
    can_handle_code_in_app: bool = False
    return_oob_link: bool = False


class OobCodeSender:
    """Creates codes, and mails or returns them."""

    def __init__(self, accounts: AccountRepository, deliver: DeliverMail, project: str) -> None:
        self._accounts = accounts
        self._deliver = deliver
        self._project = project

    def send(self, body: SendOobCodeRequest, owner: Account | None, *, is_trusted: bool = False) -> dict[str, object]:
        """Create and send a code, and return the response. Raises IdentityError.

        `owner` is the account of the ID token; a trusted server does not need one.
        """
        if owner is None and not is_trusted and body.request_type is not OobCodeKind.PASSWORD_RESET:
            raise IdentityError("MISSING_ID_TOKEN")
        response: dict[str, object] = {"kind": "identitytoolkit#GetOobConfirmationCodeResponse"}
        account = owner or self._accounts.find_by_email(normalise_email(body.email or ""))
        if account is None:
            if body.return_oob_link:
                raise IdentityError("EMAIL_NOT_FOUND")
            return response | {"email": body.email}  # do not reveal which accounts exist
        new_email = None
        if body.request_type is OobCodeKind.VERIFY_AND_CHANGE_EMAIL:
            if not body.new_email:
                raise IdentityError("MISSING_NEW_EMAIL")
            new_email = normalise_email(body.new_email)
            if self._accounts.find_by_email(new_email):
                raise IdentityError("EMAIL_EXISTS")
        code = self._accounts.create_code(account, body.request_type, new_email)
        response |= {"email": account.email}
        subject, mode = _MAIL_TEMPLATES[body.request_type]
        link = self._build_link(mode, code, body.continue_url)
        if body.return_oob_link:
            return response | {"oobLink": link, "oobCode": code}
        self._deliver(
            new_email or account.email,
            subject,
            f"{subject}: follow the link, or enter the code.\n\n{link}\n\nCode: {code}\n",
        )
        return response

    def _build_link(self, mode: str, code: str, continue_url: str | None) -> str:
        query = {"mode": mode, "oobCode": code, "apiKey": "sandbox", "lang": "en"}
        if continue_url:
            query["continueUrl"] = continue_url
        return f"https://{self._project}.firebaseapp.com/__/auth/action?{urlencode(query)}"

"""Out-of-band codes: permission to request one, and the address that receives it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from services.sandbox.identity.accounts import Account, AccountRepository, IdentityError, OobCodeKind
from services.sandbox.identity.out_of_band_codes import OobCodeSender, SendOobCodeRequest
from services.sandbox.mail.mailbox import find_code

EMAIL, NEW_EMAIL = "ada@delivery.test", "new@delivery.test"


class Outbox:
    """Records mails as (address, subject, text)."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []

    def deliver(self, address: str, subject: str, text: str) -> None:
        self.mails.append((address, subject, text))


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def sender(accounts: AccountRepository, outbox: Outbox) -> OobCodeSender:
    return OobCodeSender(accounts, outbox.deliver, "delivery-local")


@pytest.fixture
def account(accounts: AccountRepository) -> Account:
    return accounts.create(EMAIL, None)


@pytest.mark.parametrize(
    ("kind", "subject", "mode"),
    [
        (OobCodeKind.VERIFY_EMAIL, "Verify your email", "verifyEmail"),
        (OobCodeKind.PASSWORD_RESET, "Reset your password", "resetPassword"),
    ],
)
def test_code_is_mailed_to_the_owner(
    sender: OobCodeSender,
    outbox: Outbox,
    accounts: AccountRepository,
    account: Account,
    kind: OobCodeKind,
    subject: str,
    mode: str,
) -> None:
    response = sender.send(SendOobCodeRequest(request_type=kind), account)
    assert response == {"kind": "identitytoolkit#GetOobConfirmationCodeResponse", "email": EMAIL}
    ((address, mail_subject, text),) = outbox.mails
    assert (address, mail_subject) == (EMAIL, subject)
    code = find_code(text)
    assert code is not None
    assert accounts.get_code(code).kind is kind
    assert f"mode={mode}" in text


def test_link_contains_code_and_continue_url(sender: OobCodeSender, account: Account) -> None:
    body = SendOobCodeRequest(
        request_type=OobCodeKind.VERIFY_EMAIL, return_oob_link=True, continue_url="https://shop.test/?a=1&b=2"
    )
    response = sender.send(body, account, is_trusted=True)
    link = urlsplit(str(response["oobLink"]))
    assert (link.scheme, link.netloc) == ("https", "delivery-local.firebaseapp.com")
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert query["oobCode"] == response["oobCode"]
    assert query["continueUrl"] == "https://shop.test/?a=1&b=2"


def test_returned_link_is_not_mailed(sender: OobCodeSender, outbox: Outbox, account: Account) -> None:
    body = SendOobCodeRequest(request_type=OobCodeKind.PASSWORD_RESET, email=EMAIL, return_oob_link=True)
    assert sender.send(body, None, is_trusted=True)["email"] == account.email
    assert outbox.mails == []


def test_code_of_email_change_is_mailed_to_the_new_address(
    sender: OobCodeSender, outbox: Outbox, accounts: AccountRepository, account: Account
) -> None:
    body = SendOobCodeRequest(request_type=OobCodeKind.VERIFY_AND_CHANGE_EMAIL, new_email="New@Delivery.test")
    assert sender.send(body, account)["email"] == EMAIL
    ((address, _, text),) = outbox.mails
    assert address == NEW_EMAIL
    assert accounts.get_code(find_code(text) or "").new_email == NEW_EMAIL


@pytest.mark.parametrize(
    ("new_email", "message"), [(None, "MISSING_NEW_EMAIL"), ("", "MISSING_NEW_EMAIL"), ("x", "INVALID_EMAIL")]
)
def test_email_change_needs_a_valid_new_address(
    sender: OobCodeSender, account: Account, new_email: str | None, message: str
) -> None:
    body = SendOobCodeRequest(request_type=OobCodeKind.VERIFY_AND_CHANGE_EMAIL, new_email=new_email)
    with pytest.raises(IdentityError, match=message):
        sender.send(body, account)


def test_email_change_to_registered_address_is_rejected(
    sender: OobCodeSender, outbox: Outbox, accounts: AccountRepository, account: Account
) -> None:
    accounts.create(NEW_EMAIL, None)
    body = SendOobCodeRequest(request_type=OobCodeKind.VERIFY_AND_CHANGE_EMAIL, new_email=NEW_EMAIL)
    with pytest.raises(IdentityError, match="EMAIL_EXISTS"):
        sender.send(body, account)
    assert outbox.mails == []


@pytest.mark.parametrize("kind", [OobCodeKind.VERIFY_EMAIL, OobCodeKind.VERIFY_AND_CHANGE_EMAIL])
def test_code_except_password_reset_needs_an_id_token(
    sender: OobCodeSender, account: Account, kind: OobCodeKind
) -> None:
    body = SendOobCodeRequest(request_type=kind, email=account.email, new_email=NEW_EMAIL)
    with pytest.raises(IdentityError, match="MISSING_ID_TOKEN"):
        sender.send(body, None)


@pytest.mark.usefixtures("account")
def test_password_reset_does_not_reveal_accounts(sender: OobCodeSender, outbox: Outbox) -> None:
    responses = [
        sender.send(SendOobCodeRequest(request_type=OobCodeKind.PASSWORD_RESET, email=email), None)
        for email in (EMAIL, "missing@delivery.test")
    ]
    assert [response | {"email": ""} for response in responses] == [responses[0] | {"email": ""}] * 2
    assert [address for address, *_ in outbox.mails] == [EMAIL]


def test_trusted_server_receives_error_for_missing_account(sender: OobCodeSender) -> None:
    body = SendOobCodeRequest(
        request_type=OobCodeKind.PASSWORD_RESET, email="missing@delivery.test", return_oob_link=True
    )
    with pytest.raises(IdentityError, match="EMAIL_NOT_FOUND"):
        sender.send(body, None, is_trusted=True)


@pytest.mark.parametrize("email", [None, "", "x"])
def test_password_reset_needs_a_valid_address(sender: OobCodeSender, email: str | None) -> None:
    with pytest.raises(IdentityError, match="INVALID_EMAIL"):
        sender.send(SendOobCodeRequest(request_type=OobCodeKind.PASSWORD_RESET, email=email), None)

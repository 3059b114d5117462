"""Handlers of accounts, profiles and sessions, with fakes of the ports."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast

import pytest
from msgspec import UNSET, convert

from generated.problems import Reason
from generated.proto.delivery.notifications.v1 import ListMyNotificationsRequest, ListMyNotificationsResponse
from generated.rest.delivery import models
from services.gateway.domain.accounts import Account, AccountFilter, CodePurpose, generate_code
from services.gateway.domain.images import Image
from services.gateway.entrypoints.rest.users import AccountContext, Sessions, Users
from services.gateway.usecases.token_revocations import RevokedTokens
from services.runtime.core.errors import ApiError
from services.runtime.core.json_schema import JsonParser
from services.runtime.core.pagination import PageTokenSigner
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Upload, none_to_unset
from tests.conftest import ROOT
from tests.recording_stub import RecordingStub
from tests.unit.fake_transactions import NOW
from tests.unit.gateway import fakes
from tests.unit.gateway.fakes import FakeIdentityProvider, FakeImageStore, FakeLoginRateLimiter, FakeRepository

ADA = Principal("ada", "customer", "ada@delivery.test", True, NOW + timedelta(hours=1), authenticated_at=NOW)
ADMIN = Principal("root", "admin", "root@delivery.test", True, NOW + timedelta(hours=1))
SESSION = models.Session(access_token="access", refresh_token="refresh", expires_in=3600, user_id="ada")
USER = models.User(
    id="ada",
    email="ada@delivery.test",
    email_verified=False,
    first_name="Ada",
    last_name="Lovelace",
    role=models.Role.customer,
    disabled=False,
)
OPTIONAL: dict[str, Any] = {
    "phone": "+12025550101",
    "birth_date": date(1990, 12, 10),
    "locale": "en-GB",
    "time_zone": "Europe/Berlin",
    "notif_token": "token",
}


def make_account(**changes: Any) -> Account:
    """Return the account of Ada without optional data, with changes."""
    return replace(fakes.ADA, **dict.fromkeys(OPTIONAL) | changes)


class Gateway:
    """The handlers with the fakes that they use."""

    def __init__(self, repository: FakeRepository | None = None) -> None:
        self.repository = repository or FakeRepository(make_account())
        self.identity = FakeIdentityProvider()
        self.rate_limiter = FakeLoginRateLimiter()
        self.image_store = FakeImageStore()
        self.notifications = RecordingStub(list_my_notifications=ListMyNotificationsResponse())
        self.notified: list[bool] = []
        context = AccountContext(
            cast(Any, self.repository),
            cast(Any, self.identity),
            cast(Any, self.rate_limiter),
            cast(Any, self.image_store),
            RevokedTokens(lambda: NOW),
            lambda: NOW,
            1,
            lambda: self.notified.append(True),
        )
        self.users = Users(context, cast(Any, self.notifications), PageTokenSigner(["key"]))
        self.sessions = Sessions(context)


def sign_up_request(**changes: Any) -> models.SignUpRequest:
    required = {"email": "Eve@Delivery.test", "password": "delivery-demo-1", "first_name": "Eve", "last_name": "E"}
    return convert(required | {"role": "customer"} | changes, models.SignUpRequest)


async def assert_error(reason: Reason, work: Coroutine[Any, Any, object]) -> None:
    with pytest.raises(ApiError) as raised:
        await work
    assert raised.value.reason is reason


@pytest.mark.parametrize(("role", "assigned"), [("customer", models.Role.customer), ("deliverer", UNSET)])
async def test_deliverer_has_no_role_after_sign_up(role: str, assigned: object) -> None:
    gateway = Gateway()
    response = await gateway.users.sign_up(body=sign_up_request(role=role))
    assert response.headers == {"Location": "/api/v1/users/me"}
    assert (response.body.email, response.body.email_verified) == ("eve@delivery.test", False)
    assert response.body.role == assigned
    (call,) = gateway.identity.calls
    role_claim = "None" if assigned is UNSET else "customer"
    assert call == ("create", response.body.id, "eve@delivery.test", "delivery-demo-1", role_claim)


@pytest.mark.parametrize("password", ["lower case", "83640274", " with spaces ", "x" * 64, "\N{ELEPHANT}" * 128])
async def test_password_of_any_characters_reaches_the_provider_unchanged(password: str) -> None:
    gateway = Gateway()
    assert parse_password(password) == password
    await gateway.users.sign_up(body=sign_up_request(password=password))
    body = models.ChangePasswordRequest(old_password=password, new_password=password[::-1])
    await gateway.users.change_password(principal=ADA, forwarded_for="192.0.2.1", body=body)
    await gateway.sessions.sign_in(
        forwarded_for="192.0.2.1", body=models.SignInRequest(email=ADA.email, password=password)
    )
    created, checked, changed, signed_in = gateway.identity.calls
    assert created[3] == checked[2] == signed_in[2] == password
    assert changed == ("set_password", "ada", password[::-1])


@pytest.mark.parametrize("password", ["", "x" * 7, "x" * 129])
def test_password_of_invalid_length_is_rejected(password: str) -> None:
    with pytest.raises(ApiError, match="INVALID_REQUEST"):
        parse_password(password)


def parse_password(password: str) -> str:
    """Return a new password as the published document permits it. Raises ApiError: INVALID_REQUEST."""
    document = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))
    return JsonParser(document["components"]["schemas"]["Password"], str).parse(json.dumps(password).encode())


async def test_sign_up_stores_optional_data() -> None:
    gateway = Gateway()
    response = await gateway.users.sign_up(body=sign_up_request(**OPTIONAL))
    account = gateway.repository.accounts[response.body.id]
    assert {name: getattr(account, name) for name in OPTIONAL} == OPTIONAL
    assert {name: getattr(response.body, name) for name in OPTIONAL} == OPTIONAL


async def test_profile_omits_absent_data() -> None:
    response = await Gateway().users.get_profile(principal=ADA)
    assert response.body == USER
    assert response.headers["Cache-Control"] == "private, no-store"


async def test_etag_of_profile_differs_between_users_and_versions() -> None:
    eve = replace(ADA, user_id="eve")
    repository = FakeRepository(make_account(), make_account(id="eve"))
    gateway = Gateway(repository)
    etags = [(await gateway.users.get_profile(principal=each)).headers["ETag"] for each in (ADA, eve)]
    patch = convert({"first_name": "Augusta"}, models.ProfilePatch)
    changed = await gateway.users.update_profile(principal=ADA, body=patch, if_match=etags[0])
    assert len({*etags, changed.headers["ETag"]}) == 3
    await assert_error(
        Reason.PRECONDITION_FAILED, gateway.users.update_profile(principal=eve, body=patch, if_match=etags[0])
    )
    assert "eve" not in etags[1]


async def test_profile_contains_path_of_avatar_and_no_object_name() -> None:
    gateway = Gateway(FakeRepository(make_account(avatar="avatars/secret", role=None)))
    response = await gateway.users.get_profile(principal=ADA)
    assert (response.body.avatar_url, response.body.role) == ("/api/v1/users/me/avatar", UNSET)
    assert "secret" not in repr(response.body)


async def test_unknown_profile_raises_error() -> None:
    await assert_error(Reason.USER_NOT_FOUND, Gateway(FakeRepository()).users.get_profile(principal=ADA))


async def test_profile_patch_changes_given_fields_and_removes_null() -> None:
    gateway = Gateway(FakeRepository(make_account(**OPTIONAL)))
    patch = models.ProfilePatch(first_name="Augusta", phone=None)
    etag = (await gateway.users.get_profile(principal=ADA)).headers["ETag"]
    response = await gateway.users.update_profile(principal=ADA, body=patch, if_match=etag)
    assert response.headers["ETag"] not in ("", etag)
    assert (response.body.first_name, response.body.phone) == ("Augusta", UNSET)
    assert response.body.locale == "en-GB"


async def test_profile_patch_of_outdated_version_raises_error() -> None:
    gateway = Gateway()
    patch = models.ProfilePatch(first_name="Augusta")
    work = gateway.users.update_profile(principal=ADA, body=patch, if_match='"7"')
    await assert_error(Reason.PRECONDITION_FAILED, work)
    assert gateway.repository.accounts["ada"] == make_account()


async def test_deleted_profile_is_deleted_everywhere() -> None:
    gateway = Gateway()
    await gateway.users.delete_profile(principal=ADA)
    assert gateway.repository.accounts == {}
    assert gateway.identity.calls == [("delete", "ada")]


@pytest.mark.parametrize(
    ("request_code", "expected"),
    [
        (lambda users, body: users.resend_verification(body=body), (CodePurpose.EMAIL_VERIFICATION, None)),
        (lambda users, body: users.request_password_reset(body=body), (CodePurpose.PASSWORD_RESET, None)),
    ],
)
async def test_code_for_known_or_unknown_address_is_requested(
    request_code: Callable[[Users, models.EmailOnly], Coroutine[Any, Any, None]],
    expected: tuple[CodePurpose, str | None],
) -> None:
    gateway = Gateway()
    await request_code(gateway.users, models.EmailOnly(email="New@delivery.test"))
    purpose, user_id = expected
    (request,) = gateway.repository.code_requests
    assert (request.purpose, request.email, request.user_id) == (purpose, "new@delivery.test", user_id)
    assert gateway.notified == [True]


@pytest.mark.parametrize(("password", "calls"), [(None, 0), ("delivery-demo-1", 1)])
async def test_code_for_new_email_is_requested_and_sender_notified(password: str | None, calls: int) -> None:
    gateway = Gateway()
    body = models.ChangeEmailRequest(email="New@delivery.test", password=none_to_unset(password))
    await gateway.users.change_email(principal=ADA, forwarded_for="192.0.2.1", body=body)
    (request,) = gateway.repository.code_requests
    assert (request.purpose, request.email, request.user_id) == (CodePurpose.EMAIL_CHANGE, "new@delivery.test", "ada")
    assert gateway.notified == [True]
    assert gateway.identity.calls == [("sign_in", "ada@delivery.test", "delivery-demo-1")] * calls


async def test_confirmed_address_is_marked_at_the_provider() -> None:
    gateway = Gateway()
    plain_code, code = generate_code(CodePurpose.EMAIL_VERIFICATION, "ada", NOW)
    gateway.repository.codes[code.digest] = code
    body = models.ConfirmSignUpRequest(code=plain_code)
    await gateway.users.confirm_sign_up(forwarded_for="192.0.2.1, 10.0.0.1", body=body)
    assert gateway.identity.calls == [("mark_email_verified", "ada")]
    assert gateway.rate_limiter.subjects == [(None, "192.0.2.1")]
    await assert_error(Reason.CODE_INVALID, gateway.users.confirm_sign_up(forwarded_for="", body=body))


async def test_password_is_reset_by_code() -> None:
    gateway = Gateway()
    plain_code, code = generate_code(CodePurpose.PASSWORD_RESET, "ada", NOW)
    gateway.repository.codes[code.digest] = code
    body = models.ResetPasswordRequest(code=plain_code, password="delivery-demo-2")
    await gateway.users.reset_password(forwarded_for="192.0.2.1, 10.0.0.1", body=body)
    assert gateway.identity.calls == [("set_password", "ada", "delivery-demo-2")]
    assert gateway.rate_limiter.subjects == [(None, "192.0.2.1")]


async def test_password_is_changed_with_the_old_one() -> None:
    gateway = Gateway()
    body = models.ChangePasswordRequest(old_password="old", new_password="delivery-demo-2")
    await gateway.users.change_password(principal=ADA, forwarded_for="192.0.2.1, 10.0.0.1", body=body)
    assert gateway.identity.calls == [
        ("sign_in", "ada@delivery.test", "old"),
        ("set_password", "ada", "delivery-demo-2"),
    ]
    assert gateway.rate_limiter.subjects == [("ada@delivery.test", "192.0.2.1")]


async def test_avatar_is_stored_returned_and_deleted() -> None:
    gateway = Gateway()
    stored = await gateway.users.put_avatar(principal=ADA, body=Upload("a.png", "image/png", b"png"))
    assert stored.headers == (await gateway.users.get_profile(principal=ADA)).headers
    assert stored.body.avatar_url == "/api/v1/users/me/avatar"
    (name,) = gateway.image_store.images
    assert gateway.image_store.images[name] == Image("image/png", b"png")
    avatar = await gateway.users.get_avatar(principal=ADA)
    assert avatar.body == BinaryResponse("image/png", b"png")
    assert avatar.headers["Cache-Control"] == "private, no-cache"
    assert name not in avatar.headers["ETag"]
    await gateway.users.delete_avatar(principal=ADA)
    assert gateway.image_store.images == {}
    await assert_error(Reason.AVATAR_NOT_FOUND, gateway.users.get_avatar(principal=ADA))


async def test_list_of_users_is_filtered_and_paginated() -> None:
    gateway = Gateway(FakeRepository(make_account(), make_account(id="abe")))
    page = await gateway.users.list_users(
        principal=ADMIN, page_size=1, role=models.Role.customer, approved=True, disabled=False, q="a"
    )
    assert page.items == [USER]
    assert isinstance(page.next_page_token, str)
    assert gateway.repository.filters == [AccountFilter("customer", True, False, "a")]
    last_page = await gateway.users.list_users(principal=ADMIN, page_size=2)
    assert ([user.id for user in last_page.items], last_page.next_page_token) == (["ada", "abe"], UNSET)


async def test_assigned_role_is_stored_and_claimed() -> None:
    gateway = Gateway()
    body = models.SetUserRoleRequest(role=models.Role.deliverer)
    user = await gateway.users.set_user_role(principal=ADMIN, user_id="ada", body=body)
    assert user.role is models.Role.deliverer
    assert gateway.identity.calls == [("set_role", "ada", "deliverer")]


async def test_notifications_are_forwarded() -> None:
    gateway = Gateway()
    page = await gateway.users.list_my_notifications(principal=ADA, page_size=5)
    assert page == models.NotificationPage(items=[])
    assert gateway.notifications.requests == [ListMyNotificationsRequest(page_size=5)]


async def test_sign_in_is_limited_by_address_of_client() -> None:
    gateway = Gateway()
    body = models.SignInRequest(email="Ada@delivery.test", password="delivery-demo-1")
    assert await gateway.sessions.sign_in(forwarded_for="6.6.6.6, 192.0.2.1, 10.0.0.1", body=body) == SESSION
    assert gateway.rate_limiter.subjects == [("ada@delivery.test", "192.0.2.1")]
    assert gateway.identity.calls == [("sign_in", "Ada@delivery.test", "delivery-demo-1")]


async def test_session_is_refreshed_and_ended() -> None:
    gateway = Gateway()
    body = models.RefreshSessionRequest(refresh_token="r")
    assert await gateway.sessions.refresh_session(body=body) == SESSION
    await gateway.sessions.sign_out(principal=ADA)
    assert gateway.identity.calls == [("refresh_session", "r"), ("revoke_refresh_tokens", "ada")]

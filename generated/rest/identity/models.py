"""Written by `make generate` from api-specs/openapi/identity.yaml. Do not edit."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

type LocalId = Annotated[
    str,
    Meta(
        description="The account.",
        examples=["fBDKfeL0p45RbtfhE9PzphlLy8R5"],
        max_length=128,
        min_length=1,
    ),
]


type EmailAddress = Annotated[str, Meta(examples=["ada@example.com"], max_length=254)]


type Seconds = Annotated[str, Meta(examples=["3600"], pattern="^[0-9]{1,19}$")]


class PasswordSignIn(Struct, kw_only=True):
    email: EmailAddress
    password: Annotated[str, Meta(max_length=4096)]
    returnSecureToken: bool


class SignedIn(Struct, kw_only=True):
    localId: LocalId
    email: EmailAddress
    idToken: Annotated[
        str,
        Meta(description="RS256, `iss` `https://securetoken.google.com/<project>`, `aud` the project."),
    ]
    refreshToken: str
    expiresIn: Seconds


class Refresh(Struct, kw_only=True):
    grant_type: Literal["refresh_token"]
    refresh_token: Annotated[str, Meta(max_length=4096)]


class Refreshed(Struct, kw_only=True):
    id_token: str
    refresh_token: str
    expires_in: Seconds
    user_id: LocalId
    access_token: Annotated[str, Meta(description="The same as `id_token`.")] | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    project_id: str | UnsetType = UNSET


class NewAccount(Struct, kw_only=True):
    email: EmailAddress
    password: Annotated[str, Meta(max_length=4096, min_length=6)]
    localId: LocalId | UnsetType = UNSET
    emailVerified: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class AccountId(Struct, kw_only=True):
    localId: LocalId
    email: EmailAddress | UnsetType = UNSET


class AccountLookup(Struct, kw_only=True):
    localId: Annotated[list[LocalId], Meta(max_length=100)] | UnsetType = UNSET
    email: Annotated[list[EmailAddress], Meta(max_length=100)] | UnsetType = UNSET


class AccountInfo(Struct, kw_only=True):
    localId: LocalId
    email: EmailAddress | UnsetType = UNSET
    emailVerified: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    customAttributes: Annotated[str, Meta(description="Custom claims, as a JSON object.")] | UnsetType = UNSET
    validSince: Seconds | UnsetType = UNSET
    createdAt: Annotated[str, Meta(description="Milliseconds since 1970.", pattern="^[0-9]{1,19}$")] | UnsetType = UNSET
    lastLoginAt: Annotated[str, Meta(description="Milliseconds since 1970.", pattern="^[0-9]{1,19}$")] | UnsetType = (
        UNSET
    )


class AccountUpdate(Struct, kw_only=True):
    localId: LocalId
    email: EmailAddress | UnsetType = UNSET
    password: Annotated[str, Meta(max_length=4096, min_length=6)] | UnsetType = UNSET
    emailVerified: bool | UnsetType = UNSET
    disableUser: bool | UnsetType = UNSET
    customAttributes: (
        Annotated[
            str,
            Meta(
                description="Custom claims, as a JSON object.",
                examples=['{"role": "customer"}'],
                max_length=1000,
            ),
        ]
        | UnsetType
    ) = UNSET
    validSince: (
        Annotated[
            int,
            Meta(
                description="Seconds since 1970; sessions that began earlier are revoked.",
                ge=0,
                le=253402300799,
            ),
        ]
        | UnsetType
    ) = UNSET


class AccountDeletion(Struct, kw_only=True):
    localId: LocalId


class IdentityError(Struct, kw_only=True):
    code: Annotated[int, Meta(ge=400, le=599)]
    message: Annotated[
        str,
        Meta(examples=["EMAIL_EXISTS", "WEAK_PASSWORD : Password should be at least 6 characters"]),
    ]


class AccountList(Struct, kw_only=True):
    users: Annotated[list[AccountInfo], Meta(max_length=100)] | UnsetType = UNSET


class IdentityFailure(Struct, kw_only=True):
    error: IdentityError

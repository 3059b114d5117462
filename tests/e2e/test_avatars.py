"""Avatars of users, through the edge."""

import io

import pytest
from PIL import Image

from tests.e2e.test_error_responses import assert_problem
from tests.users import SignUp, create_image


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_avatar_is_uploaded_served_replaced_and_deleted(sign_up: SignUp, image_format: str) -> None:
    ada = sign_up().sign_in()
    assert_problem(ada.request("GET", "/users/me/avatar"), 404, "AVATAR_NOT_FOUND")
    files = {"avatar": ("me.bin", create_image(image_format), f"image/{image_format.lower()}")}
    put = ada.request("PUT", "/users/me/avatar", files=files)
    assert put.status_code == 200, put.text
    avatar = ada.request("GET", put.json()["avatar_url"].removeprefix("/api/v1"))
    assert avatar.headers["content-type"] == "image/webp"
    assert avatar.headers["cache-control"] == "private, no-cache"
    assert Image.open(io.BytesIO(avatar.content)).size == (400, 400)
    not_modified = ada.request("GET", "/users/me/avatar", headers={"if-none-match": avatar.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    ada.request("PUT", "/users/me/avatar", files={"avatar": ("me.png", create_image(colour="blue"), "image/png")})
    assert ada.request("GET", "/users/me/avatar").headers["etag"] != avatar.headers["etag"]
    assert ada.request("DELETE", "/users/me/avatar").status_code == 204
    assert_problem(ada.request("GET", "/users/me/avatar"), 404, "AVATAR_NOT_FOUND")
    assert "avatar_url" not in ada.request("GET", "/users/me").json()


@pytest.mark.parametrize(
    ("content", "media_type", "status", "reason"),
    [
        (b"", "image/png", 422, "PICTURE_REFUSED"),
        (b"<svg onload='alert(1)'/>", "image/png", 422, "PICTURE_REFUSED"),
        (create_image()[:200], "image/png", 422, "PICTURE_REFUSED"),
        (create_image(size=(10_000, 10_000)), "image/png", 422, "PICTURE_REFUSED"),
        (create_image("GIF"), "image/png", 422, "PICTURE_REFUSED"),
        (create_image("GIF"), "image/gif", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"x" * (5 * 1024 * 1024 + 1), "image/png", 413, "PAYLOAD_TOO_LARGE"),
    ],
    ids=[
        "empty",
        "not an image",
        "truncated",
        "too many pixels",
        "wrong media type",
        "unsupported media type",
        "too large",
    ],
)
def test_invalid_avatar_is_rejected(sign_up: SignUp, content: bytes, media_type: str, status: int, reason: str) -> None:
    ada = sign_up().sign_in()
    assert_problem(ada.request("PUT", "/users/me/avatar", files={"avatar": ("a", content, media_type)}), status, reason)
    assert_problem(ada.request("GET", "/users/me/avatar"), 404, "AVATAR_NOT_FOUND")

"""getPartnerPicture: Read a partner's picture."""

import httpx

from tests.e2e.test_error_responses import assert_problem


def test_demo_partner_picture_is_served_from_cache(edge: httpx.Client) -> None:
    (partner,) = edge.get("/catalog", params={"partner_id": 1}).json()["items"]
    path = partner["picture_url"].removeprefix("/api/v1")
    response = edge.get(path)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/webp")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    not_modified = edge.get(path, headers={"if-none-match": response.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    product_path = path.replace("/partner-pictures/", "/pictures/")
    assert_problem(edge.get(product_path), 404, "PICTURE_NOT_FOUND")

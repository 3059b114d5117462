"""Check of the demo data of a running system."""

import httpx


def is_demo_ready(edge_url: str) -> bool:
    """Return whether the demo admin can sign in and read the demo data, so that all services are available."""
    account = {"email": "admin@delivery.test", "password": "delivery-demo-1"}
    try:
        session = httpx.post(f"{edge_url}/api/v1/sessions", json=account, timeout=5, trust_env=False)
        if session.status_code != httpx.codes.OK:
            return False
        headers = {"authorization": f"Bearer {session.json()['access_token']}"}
        responses = [
            httpx.get(f"{edge_url}/api/v1/{path}", headers=headers, timeout=5, trust_env=False)
            for path in ("catalog", "banks")
        ]
    except httpx.HTTPError:
        return False
    return all(response.status_code == httpx.codes.OK and response.json()["items"] for response in responses)

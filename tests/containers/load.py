"""Background load of customers while pods are replaced."""

import threading
from collections import Counter
from typing import Any, Self

import httpx

from deploy.local.demo.scenarios import BASKET, DEMO_PASSWORD

CUSTOMER_COUNT = 4


class BackgroundLoad:
    """Threads that read the catalog and create orders until the end of the block, and record failed requests."""

    def __init__(self, edge_url: str) -> None:
        self._edge_url = edge_url
        self._stop_event = threading.Event()
        self._threads = [threading.Thread(target=self._run_customer) for _ in range(CUSTOMER_COUNT)]
        self.status_counts: Counter[int] = Counter()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_event.set()
        for thread in self._threads:
            thread.join()

    def _run_customer(self) -> None:
        with httpx.Client(base_url=f"{self._edge_url}/api/v1", timeout=30, trust_env=False) as client:
            account = {"email": "customer@delivery.test", "password": DEMO_PASSWORD}
            token = client.post("/sessions", json=account).raise_for_status().json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
            while not self._stop_event.is_set():
                self._request(client, "GET", "/catalog")
                check = self._request(client, "POST", "/order-checks", BASKET)
                if check is not None:
                    confirmed = self._request(client, "POST", "/orders", {"check_id": check["check_id"]})
                    if confirmed is not None:
                        self._request(client, "GET", f"/orders/{confirmed['order']['id']}")

    def _request(self, client: httpx.Client, method: str, path: str, body: object = None) -> Any:
        try:
            response = client.request(method, path, json=body)
        except httpx.HTTPError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        self.status_counts[response.status_code] += 1
        if response.is_error:
            self.failures.append(f"{method} {path}: {response.status_code} {response.text[:200]}")
            return None
        return response.json()

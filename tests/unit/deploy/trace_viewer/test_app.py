"""Query API, pages and security headers of the trace viewer."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.trace_viewer.app import SECURITY_HEADERS, create_collector_app, create_viewer_app
from deploy.trace_viewer.store import TraceStore
from tests.unit.deploy.trace_viewer.spans import NOW, ROOT_SPAN


@pytest.fixture
async def client(store: TraceStore) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_viewer_app(store)), base_url="http://viewer"
    ) as client:
        yield client


async def test_get_trace_returns_jaeger_json(client: httpx.AsyncClient) -> None:
    response = (await client.get(f"/api/traces/{ROOT_SPAN['traceId']}")).json()
    assert response.keys() == {"data", "total", "limit", "offset", "errors"}
    (trace,) = response["data"]
    assert [process["serviceName"] for process in trace["processes"].values()] == ["gateway", "orders"]
    root, child = trace["spans"]
    assert root["references"] == []
    assert (root["startTime"], root["duration"]) == (NOW, 5000)
    assert {"key": "n", "type": "int64", "value": 7} in root["tags"]
    assert {"key": "good", "type": "bool", "value": True} in root["tags"]
    assert {"key": "some", "type": "string", "value": "['a', 1]"} in root["tags"]
    assert {"key": "span.kind", "type": "string", "value": "server"} in root["tags"]
    assert root["logs"] == [
        {"timestamp": NOW + 1, "fields": [{"key": "event", "type": "string", "value": "exception"}]}
    ]
    ids = {"traceID": ROOT_SPAN["traceId"], "spanID": ROOT_SPAN["spanId"]}
    assert child["references"] == [{"refType": "CHILD_OF", **ids}, {"refType": "FOLLOWS_FROM", **ids}]
    assert {"key": "error", "type": "bool", "value": True} in child["tags"]
    assert child["warnings"] is None


async def test_services_operations_and_dependencies(client: httpx.AsyncClient) -> None:
    async def data(path: str) -> Any:
        return (await client.get(path)).json()["data"]

    assert await data("/api/services") == ["gateway", "orders"]
    assert await data("/api/services/gateway/operations") == ["POST /orders"]
    assert await data("/api/operations?service=orders") == [{"name": "CreateOrder", "spanKind": "client"}]
    assert await data("/api/operations?service=orders&spanKind=server") == []
    assert await data(f"/api/dependencies?endTs={NOW // 1000 + 1}&lookback=60000") == [
        {"parent": "gateway", "child": "orders", "callCount": 1}
    ]
    assert await data(f"/api/dependencies?endTs={NOW // 1000 - 1}&lookback=60000") == []
    (summary,) = await data("/api/summaries")
    assert summary == {
        "traceID": ROOT_SPAN["traceId"],
        "service": "gateway",
        "operation": "POST /orders",
        "startTime": NOW,
        "duration": 5000,
        "spans": 2,
        "errors": 1,
        "orphans": 0,
        "services": {"gateway": 1, "orders": 1},
    }


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ("service=gateway", 1),
        ("service=unknown", 0),
        ("service=gateway&operation=CreateOrder", 0),
        ("service=orders&operation=all", 1),
        ('tags={"http.route":"/orders","n":"7"}', 1),
        ('tags={"http.route":"/else"}', 0),
        ("tag=error:true", 1),
        ("service=gateway&tag=error:true", 0),
        ("minDuration=5ms", 1),
        ("minDuration=5.1ms", 0),
        ("maxDuration=1us", 0),
        (f"start={NOW}&end={NOW}", 1),
        (f"start={NOW + 1}", 0),
        ("q=CREATEorder", 1),
        ("q=/ORDERS", 1),
        ("q=7", 1),
        ("q=tru", 1),
        ("q=key-of-nothing", 0),
        (f"q={ROOT_SPAN['traceId']}", 1),
        ("q=nothing-like-it", 0),
        (f"traceID={ROOT_SPAN['traceId']}", 1),
    ],
)
async def test_search_filters_traces(client: httpx.AsyncClient, parameters: str, count: int) -> None:
    assert len((await client.get(f"/api/traces?{parameters}")).json()["data"]) == count


async def test_ids_are_case_insensitive_and_unknown_ones_omitted(client: httpx.AsyncClient) -> None:
    trace_id = str(ROOT_SPAN["traceId"])
    response = await client.get(f"/api/traces?traceID={trace_id.upper()}&traceID=1&traceID={trace_id.lstrip('0')}")
    assert [trace["traceID"] for trace in response.json()["data"]] == [trace_id, trace_id]


@pytest.mark.parametrize("parameters", ["limit=x", "minDuration=5", "tags=[]", "tags={", "start=-1", "end=9e9"])
async def test_invalid_query_returns_400(client: httpx.AsyncClient, parameters: str) -> None:
    for path in ("traces", "summaries"):
        response = await client.get(f"/api/{path}?{parameters}")
        assert response.status_code == 400
        assert response.json()["errors"][0]["code"] == 400
    assert (await client.get("/api/dependencies?lookback=x")).status_code == 400
    assert (await client.get(f"/api/traces/{'0' * 32}")).status_code == 404


async def test_every_response_has_security_headers(client: httpx.AsyncClient) -> None:
    pages = ["/", "/search", "/dependencies", "/trace/x", "/static/page.js", "/static/page.css", "/static/icon.svg"]
    for path in [*pages, "/api/services", "/static/index.html", "/static/..%2Fapp.py", "/nowhere"]:
        response = await client.get(path)
        assert (response.status_code == 200) == (path in pages or path == "/api/services"), path
        assert SECURITY_HEADERS.items() <= dict(response.headers).items()
    policy = SECURITY_HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy


async def test_collector_offers_neither_pages_nor_queries(store: TraceStore) -> None:
    transport = httpx.ASGITransport(create_collector_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://collector") as collector:
        statuses = [(await collector.get(path)).status_code for path in ("/", "/api/services", "/v1/traces")]
    assert statuses == [404, 404, 405]


async def test_pages_of_other_sites_read_no_traces(client: httpx.AsyncClient) -> None:
    for headers in ({"host": "evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        for path in ("/", "/api/services"):
            response = await client.get(path, headers=headers)
            assert response.status_code == 403
            assert SECURITY_HEADERS.items() <= dict(response.headers).items()

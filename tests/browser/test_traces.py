"""Trace viewer: search, trace and service map, and protection against markup in spans."""

import os
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page, expect

from generated.events import ORDER_PAID
from services.runtime.messaging.topology import get_owner
from tests.conftest import Mesh, shift_port
from tests.recorded_traces import RecordedRun, get_traces_url, record_run

SERVICES = {"gateway", "gateway-envoy", "orders-envoy", *(get_owner(queue) for queue in ORDER_PAID.all_queues)}
MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def recorded(mesh: Mesh) -> RecordedRun:
    return record_run(mesh)


@pytest.fixture
def dark_page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    yield context.new_page()
    context.close()


def save_screenshot(page: Page, name: str) -> None:
    """Save a screenshot to the folder SCREENSHOTS, if it is set."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_search_by_order_id_shows_spans_of_every_service(recorded: RecordedRun, page: Page) -> None:
    page.goto(get_traces_url())
    page.get_by_label("Any value contains").fill(recorded.context.order_id)
    page.get_by_label("Service").select_option("partners")
    page.get_by_role("button", name="Find").click()
    traces = page.locator(".trace")
    expect(traces.filter(has_text="gateway-envoy: paymentCallback")).to_have_count(1)
    expect(traces.filter(has_text="gateway-envoy: partnerReadyCallback")).to_have_count(1)
    save_screenshot(page, "traces-search")
    traces.filter(has_text="paymentCallback").click()
    expect(page.get_by_role("heading", name="gateway-envoy: paymentCallback")).to_be_visible()
    pills = page.locator("main > .pills .pill")
    assert sorted(text.rpartition(" ")[0] for text in pills.all_inner_texts()) == sorted(SERVICES)
    rows = page.locator(".row:not(.axis)")
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    expect(rows).to_have_count(len(paid.spans))
    expect(page.get_by_text("without parent")).to_have_count(0)
    rows.filter(has_text="send order to partner").click()
    detail = page.locator(".detail:visible")
    expect(detail.get_by_role("row", name="delivery.order_id")).to_contain_text(recorded.context.order_id)
    rows.filter(has_text="process partners.calls").click()
    expect(page.get_by_text("Links to")).to_be_visible()
    save_screenshot(page, "traces-trace")


def test_dark_colour_scheme_is_applied(recorded: RecordedRun, dark_page: Page) -> None:
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    dark_page.goto(f"{get_traces_url()}/trace/{paid.step.trace_id}")
    expect(dark_page.locator(".row").first).to_be_visible()
    assert dark_page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    save_screenshot(dark_page, "traces-dark")


def test_service_map_shows_every_service(recorded: RecordedRun, page: Page) -> None:
    page.goto(f"{get_traces_url()}/dependencies")
    names = page.locator("svg.map text:not(.count)")
    expect(names.filter(has_text="orders-envoy")).to_have_count(1)
    assert set(SERVICES) <= set(names.all_text_contents())
    expect(page.locator("svg.map path title", has_text="gateway-envoy → orders-envoy:")).to_have_count(1)
    save_screenshot(page, "traces-map")


def test_unknown_trace_shows_not_found(mesh: Mesh, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{get_traces_url()}/trace/{'0' * 31}1")
    expect(page.get_by_text("trace not found")).to_be_visible()
    page.close()


def test_content_security_policy_blocks_inner_html(mesh: Mesh, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(get_traces_url())
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>no</b>'")
    page.close()


def test_markup_in_spans_is_shown_as_text(mesh: Mesh, page: Page) -> None:
    trace_id, now = os.urandom(16).hex(), time.time_ns()
    spans = [
        {
            "traceId": trace_id,
            "spanId": f"00000000000000b{number}",
            "parentSpanId": parent,
            "name": MARKUP,
            "kind": 2,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 10**8),
            "attributes": [{"key": MARKUP, "value": {"stringValue": MARKUP}}],
            "events": [{"name": MARKUP, "timeUnixNano": str(now)}],
            "links": [{"traceId": trace_id, "spanId": "00000000000000b1"}],
            "status": {"code": 2, "message": MARKUP},
        }
        for number, parent in ((1, ""), (2, "00000000000000b1"))
    ]
    resource_spans = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": MARKUP + str(number)}}]},
            "scopeSpans": [{"spans": [span]}],
        }
        for number, span in enumerate(spans)
    ]
    url = f"http://127.0.0.1:{shift_port(4318)}/v1/traces"
    httpx.post(url, json={"resourceSpans": resource_spans}, trust_env=False).raise_for_status()
    for path in ("search", f"trace/{trace_id}", "dependencies"):
        response = page.goto(f"{get_traces_url()}/{path}")
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        expect(page.locator("main")).to_contain_text("<img src=x")
        for row in page.locator(".row:not(.axis)").all():
            row.click()
        assert page.locator("main img, main script").count() == 0
        assert page.title() in ("Traces", f"{MARKUP} – Traces")

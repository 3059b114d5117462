"""The trace page: an order's traces are found and read in it, and nothing that a span says is more than text."""

import os
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.conftest import Mesh, shift_port
from tests.recorded_traces import RecordedRun, record_run
from tests.recorded_traces import get_traces_url as address

SERVICES = ("gateway", "gateway-envoy", "orders", "orders-envoy", "partners", "notifications")
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def recorded(mesh: Mesh) -> RecordedRun:
    return record_run(mesh)


@pytest.fixture
def dark(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    yield context.new_page()
    context.close()


def picture(page: Page, name: str) -> None:
    """Kept where SCREENSHOTS says, for people to look at."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_an_orders_traces_are_found_and_show_every_service(recorded: RecordedRun, page: Page) -> None:
    page.goto(address())
    page.get_by_label("Any value contains").fill(recorded.context.order_id)
    page.get_by_label("Service").select_option("partners")
    page.get_by_role("button", name="Find").click()
    traces = page.locator(".trace")
    expect(traces.filter(has_text="gateway-envoy: paymentCallback")).to_have_count(1)
    expect(traces.filter(has_text="gateway-envoy: partnerReadyCallback")).to_have_count(1)
    picture(page, "traces-search")
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
    picture(page, "traces-trace")


def test_it_is_read_at_night(recorded: RecordedRun, dark: Page) -> None:
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    dark.goto(f"{address()}/trace/{paid.step.trace_id}")
    expect(dark.locator(".row").first).to_be_visible()
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    picture(dark, "traces-dark")


def test_the_map_shows_every_service(recorded: RecordedRun, page: Page) -> None:
    page.goto(f"{address()}/dependencies")
    names = page.locator("svg.map text:not(.count)")
    expect(names.filter(has_text="orders-envoy")).to_have_count(1)
    assert set(SERVICES) <= set(names.all_text_contents())
    expect(page.locator("svg.map path title", has_text="gateway-envoy → orders-envoy:")).to_have_count(1)
    picture(page, "traces-map")


def test_a_trace_that_is_not_there(mesh: Mesh, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{address()}/trace/{'0' * 31}1")
    expect(page.get_by_text("trace not found")).to_be_visible()
    page.close()


def test_markup_has_no_way_into_it(mesh: Mesh, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(address())
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>no</b>'")
    page.close()


def test_what_a_span_says_is_never_more_than_text(mesh: Mesh, page: Page) -> None:
    trace_id, now = os.urandom(16).hex(), time.time_ns()
    spans = [
        {
            "traceId": trace_id,
            "spanId": f"00000000000000b{number}",
            "parentSpanId": parent,
            "name": EVIL,
            "kind": 2,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 10**8),
            "attributes": [{"key": EVIL, "value": {"stringValue": EVIL}}],
            "events": [{"name": EVIL, "timeUnixNano": str(now)}],
            "links": [{"traceId": trace_id, "spanId": "00000000000000b1"}],
            "status": {"code": 2, "message": EVIL},
        }
        for number, parent in ((1, ""), (2, "00000000000000b1"))
    ]
    sent = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": EVIL + str(number)}}]},
            "scopeSpans": [{"spans": [span]}],
        }
        for number, span in enumerate(spans)
    ]
    where = f"http://127.0.0.1:{shift_port(4318)}/v1/traces"
    httpx.post(where, json={"resourceSpans": sent}, trust_env=False).raise_for_status()
    for path in ("search", f"trace/{trace_id}", "dependencies"):
        answer = page.goto(f"{address()}/{path}")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        expect(page.locator("main")).to_contain_text("<img src=x")
        for row in page.locator(".row:not(.axis)").all():
            row.click()
        assert page.locator("main img, main script").count() == 0
        assert page.title() in ("Traces", f"{EVIL} – Traces")

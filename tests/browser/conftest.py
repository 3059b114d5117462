"""A browser: Debian's Chromium, headless."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import shift_port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with the module: playwright keeps a loop running, beside which no other test could run its own."""
    program = shutil.which("chromium")
    assert program, "Chromium is missing; `deploy/local/setup.sh browser` installs it"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", f"--explicitly-allowed-ports={shift_port(8080)},{shift_port(16686)}"],
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test when it complains, or asks anybody but our own machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    complaints: list[str] = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    made.on(
        "request",
        lambda asked: (
            complaints.append(asked.url)
            if "://127.0.0.1" not in asked.url and not asked.url.startswith(("data:", "blob:"))
            else None
        ),
    )
    yield made
    context.close()
    assert not complaints

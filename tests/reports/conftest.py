"""Pages in headless Chromium: needs the extra `browser` and an installed Chromium."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    if CHROMIUM is None:
        pytest.skip("needs an installed Chromium")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens the text of a page; errors of its script fail the test."""
    context, errors = browser.new_context(viewport={"width": 1366, "height": 768}), []

    def open_page(text):
        (tmp_path / "page.html").write_text(text)
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        tab.goto(f"file://{tmp_path}/page.html")
        return tab

    yield open_page
    assert not errors
    context.close()

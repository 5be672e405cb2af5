"""The built site, served to a headless browser."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

BUILT = Path(__file__).parents[2] / "docs" / "_build"
# axe would ask for style sheets at wrong addresses, and thus write errors to the console
AXE = {"preload": False, "resultTypes": ["violations"]}


@pytest.fixture(scope="package")
def site():
    """Address of the built site."""
    if not (BUILT / "html" / "turn.html").exists():
        pytest.skip("the site is not built: make -C docs html")
    handler = functools.partial(Quiet, directory=BUILT / "html")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that writes no log."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="package")
def browser():
    """Chromium of the system, or of `playwright install chromium`."""
    reason = "needs the extra `browser`"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as driver:
        path = shutil.which("chromium") or driver.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: install the system's, or run `playwright install chromium`")
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def contexts(browser):
    """A function that gives the window of a width and a colour scheme."""

    @functools.cache  # pages of one window share the compiled runtime
    def context(width, scheme):
        viewport = {"width": width, "height": 900}
        return browser.new_context(viewport=viewport, color_scheme=scheme)

    return context


@pytest.fixture
def open_page(site, contexts):
    """A function that opens a page of the site; the test fails for an error on its console."""
    pages, errors = [], []

    def open_page(name, width=1280, scheme="light"):
        page = contexts(width, scheme).new_page()
        pages.append(page)
        page.set_default_timeout(120_000)
        page.on("console", lambda text: errors.append(text.text) if text.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.extend(foreign(request.url, site)))
        page.goto(f"{site}/{name}")
        if name.startswith("turn"):
            page.wait_for_selector("#turn[data-ready]")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []


def foreign(url, site):
    """The address if it is outside the site."""
    return [] if url.startswith((site, "data:", "blob:")) else [f"asks for {url}"]


def find_faults(page):
    """Serious and critical faults of accessibility that axe-core finds on a page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs `browser`")
    found = axe.Axe().run(page, options=AXE).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes'][:3]]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]

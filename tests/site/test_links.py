"""Each link of the site leads to a page, a file or a heading of it, or to a whole address."""

from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from tests.site.conftest import BUILT

HTML = BUILT / "html"
LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src"}


class Page(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if given.get(LINKS.get(tag)) is not None:
            self.links.append(given[LINKS[tag]])


@pytest.fixture(scope="module")
def pages(site):
    """Pages of the built site by their addresses, without the theme's own files."""
    paths = {path.relative_to(HTML).as_posix(): path for path in HTML.rglob("*.html")}
    return {name: Page(path) for name, path in paths.items() if "_static/" not in name}


def is_broken(link, name, pages):
    """Whether a link of the page of this name leads nowhere."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return "." not in parts.netloc or " " in link
    if parts.scheme:
        return parts.scheme not in ("data", "mailto")
    target = unquote(urljoin(name, parts.path)) if parts.path else name
    target += "index.html" if target.endswith("/") else ""
    if not (HTML / target).is_file():
        return True
    return bool(parts.fragment) and unquote(parts.fragment) not in pages[target].anchors


def test_no_link_leads_nowhere(pages):
    links = [(name, link) for name, page in pages.items() for link in page.links]
    assert len(links) > 1000
    broken = sorted({f"{name}: {link}" for name, link in links if is_broken(link, name, pages)})
    assert broken == [], "\n".join(broken)

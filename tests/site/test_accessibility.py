"""Pages fit their window, and axe-core finds nothing serious or critical on them."""

import pytest

PAGES = [
    "index.html",
    "auto_examples/plot_tour.html",
    "user_guide.html",
    "guide.html",
    "choosing.html",
    "teaching.html",
    "auto_examples/index.html",
    "auto_examples/plot_sites.html",
    "generated/sklearn_thin.THINClassifier.html",
    "turn.html",
    "turn.html#tab-sites",
]
# axe would ask for style sheets at wrong addresses, and thus write errors to the console
OPTIONS = {"preload": False, "resultTypes": ["violations"]}
WIDTHS = {"desktop": 1280, "phone": 375}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_and_has_no_serious_fault(open_page, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs `browser`")
    page = open_page(name, WIDTHS[width], scheme)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= WIDTHS[width]
    found = axe.Axe().run(page, options=OPTIONS).response["violations"]
    serious = [
        f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes'][:3]]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == [], "\n".join(serious)

"""axe-core finds nothing serious or critical on the pages of the site."""

import pytest

PAGES = [
    "index.html",
    "auto_examples/plot_tour.html",
    "user_guide.html",
    "guide.html",
    "choosing.html",
    "auto_examples/index.html",
    "auto_examples/plot_sites.html",
    "generated/sklearn_thin.THINClassifier.html",
    "turn.html",
    "turn.html#tab-sites",
]
WIDTHS = {"desktop": 1280, "phone": 375}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_serious(open_page, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs `browser`")
    viewport = {"width": WIDTHS[width], "height": 900}
    page = open_page(name, viewport=viewport, color_scheme=scheme)
    if name.startswith("turn"):
        page.wait_for_selector("#turn[data-ready]")
    found = axe.Axe().run(page).response["violations"]
    serious = [
        f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes'][:3]]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == [], "\n".join(serious)

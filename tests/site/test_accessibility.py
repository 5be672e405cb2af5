"""Pages fit their window, and axe-core finds nothing serious or critical on them."""

import pytest

from tests.site.conftest import find_faults

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
    "auto_examples/plot_training.html",
    "auto_examples/plot_pretrained_identity.html",
    "lecture/index.html",
    "turn.html",
    "turn.html#tab-sites",
]
WIDTHS = {"desktop": 1280, "phone": 375}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_and_has_no_serious_fault(open_page, name, width, scheme):
    page = open_page(name, WIDTHS[width], scheme)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= WIDTHS[width]
    faults = find_faults(page)
    assert faults == [], "\n".join(faults)

"""The switch of the theme turns the page and its drawing dark and light, and is remembered."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest

# windows of no other test: the theme remembers the choice in the window
WIDTHS = {"desktop": 1200, "phone": 390}
DRAWINGS = {"index.html": "article a:has(> img.drawing):visible", "turn.html": "#tree"}


def choose(page, mode):
    """Click the switch and then the mode; a phone has them in its menu."""
    page.set_default_timeout(20_000)
    phone = page.viewport_size["width"] == WIDTHS["phone"]
    if phone:
        page.locator("button.primary-toggle").click()
    page.locator(".theme-switch-button:visible").click()
    page.locator(f".theme-change-button[data-mode={mode}]:visible").click()
    if phone:
        page.mouse.click(330, 500)  # beside the menu
        page.wait_for_selector("dialog[open]", state="hidden")


def lightness(picture):
    """Darkest, middle and lightest gray of a picture's pixels, in [0, 1]."""
    pixels = plt.imread(io.BytesIO(picture.screenshot()))[..., :3].mean(-1)
    return np.quantile(pixels, [0.002, 0.5, 0.998])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", DRAWINGS)
def test_page_and_drawing_follow_the_switch(open_page, name, width):
    page = open_page(name, WIDTHS[width], "light")
    drawing = page.locator(DRAWINGS[name])
    for mode in ("dark", "light", "auto"):
        choose(page, mode)
        for part in (page.locator("body"), drawing):
            darkest, middle, lightest = lightness(part)
            if mode == "dark":
                assert middle < 0.25
                assert lightest > 0.6  # its lines and its text
            else:
                assert middle > 0.9
                assert darkest < 0.4


def test_the_choice_is_remembered_on_the_next_page(open_page):
    page = open_page("index.html", WIDTHS["desktop"], "light")
    choose(page, "dark")
    page.goto(page.url.replace("index.html", "choosing.html"))
    assert lightness(page.locator("body"))[1] < 0.25
    choose(page, "auto")
    assert lightness(page.locator("body"))[1] > 0.9

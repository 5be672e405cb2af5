"""The page "Turn a digit": the browser's answers are those of the estimators."""

import json

import numpy as np
import pytest

from sklearn_thin import load
from sklearn_thin.datasets._rotated import rotate
from tests.site.conftest import BUILT

ANGLES = [-90, -71, -50, -33, -10, 0, 7, 25, 60, 90]
UPRIGHT = 4  # of nine bins
TOLERANCE = 1e-4


@pytest.fixture
def page(open_page):
    page = open_page("turn.html")
    if page.get_attribute("#turn", "data-ready") != "true":
        pytest.skip(page.inner_text("#turn-message"))
    return page


@pytest.fixture(scope="module")
def fitted():
    """The estimators of the page."""
    names = "encoder", "thin", "baseline"
    return {name: load(BUILT / "turn" / "fitted" / f"{name}.thin") for name in names}


@pytest.fixture(scope="module")
def digits():
    """Upright images that the page shows, and their classes."""
    shown = json.loads((BUILT / "turn" / "static" / "turn" / "digits.json").read_text())
    return np.array(shown["images"], np.float32).reshape(-1, 8, 8) / 16, shown["classes"]


def turn(page, degrees):
    """Move the slider, and wait for the answers."""
    page.evaluate("() => { document.querySelector('#encoder tbody').replaceChildren(); }")
    page.locator("#angle").fill(str(degrees))
    page.wait_for_selector("#encoder tbody tr")


def values(page, table, column):
    """Numbers of a column of bars."""
    cells = page.locator(f"#{table} tbody td:nth-of-type({column}) data")
    return np.array(cells.evaluate_all("cells => cells.map(cell => Number(cell.value))"))


def test_answers_are_those_of_the_estimators(page, fitted, digits):
    (images, classes), thin = digits, fitted["thin"]
    first = images[[classes.index(3)]]  # the page starts with a three
    upright = {"exogenous": np.eye(9, dtype=np.float32)[[UPRIGHT]]}
    differences = []
    for degrees in ANGLES:
        turn(page, degrees)
        X = rotate(first, np.array([float(degrees)]))
        votes = thin.expert_proba(X)[0].max(1)
        expected = {
            ("encoder", 1): fitted["encoder"].predict_proba(X)[0],
            ("answers", 1): fitted["baseline"].predict_proba(X)[0],
            ("answers", 2): thin.predict_proba(X)[0],
            ("answers", 3): thin.predict_proba(X, **upright)[0],
            ("votes", 1): thin.gate_proba(X)[0],
            ("votes", 3): votes,
        }
        differences += [np.abs(values(page, *at) - right).max() for at, right in expected.items()]
    print(f"largest difference: {max(differences):.1g}")
    assert max(differences) < TOLERANCE


def test_each_digit_and_writer_can_be_chosen(page, fitted, digits):
    images, classes = digits
    turn(page, 40)
    for writer in range(2):
        for digit in (0, 9):
            page.locator(f"#chooser input[value='{digit}']").check()
            chosen = images[np.flatnonzero(np.array(classes) == digit)[writer]]
            right = fitted["thin"].predict_proba(rotate(chosen[None], np.array([40.0])))[0]
            page.wait_for_timeout(100)
            np.testing.assert_allclose(values(page, "answers", 2), right, atol=TOLERANCE)
        page.locator("#another").click()


def test_rotation_is_that_of_make_rotated(page, digits):
    images = digits[0][::5]
    script = """async ([images, angle]) => {
        const { rotate } = await import("./_static/turn/rotate.js");
        return images.map((image) => Array.from(rotate(image, angle)));
    }"""
    for degrees in ANGLES:
        turned = page.evaluate(script, [images.reshape(-1, 64).tolist(), degrees])
        right = rotate(images, np.full(len(images), float(degrees)))
        np.testing.assert_allclose(np.reshape(turned, right.shape), right, atol=1e-5)


def test_works_by_keyboard(page):
    page.locator("#angle").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#angle-text") == "3°"
    page.wait_for_function("document.querySelector('#digit-status').textContent.length > 0")
    assert page.inner_text("#digit-status").startswith("Angle 3 degrees; the encoder recognises")
    page.locator("#draw").focus()
    page.keyboard.press("Enter")  # opens the pad, and moves the focus to it
    page.keyboard.press("Space")
    before = values(page, "answers", 2)
    for key in ["ArrowDown"] * 8:
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert np.abs(values(page, "answers", 2) - before).max() > 1e-3
    page.locator("#tab-digit").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#panel-sites").is_visible()
    assert page.locator("#panel-digit").is_hidden()


def test_sites_play(page):
    recorded = json.loads((BUILT / "turn" / "static" / "turn" / "sites.json").read_text())
    page.locator("#tab-sites").click()
    assert page.inner_text("#sites-status").startswith("Epoch 0:")
    page.locator("#play").click()
    page.wait_for_function("Number(document.querySelector('#epoch').value) >= 2")
    page.locator("#play").click()
    last = len(recorded["epochs"]) - 1
    page.locator("#epoch").fill(str(last))
    agreement = recorded["epochs"][last]["agreement"]
    assert f"hidden type is {agreement:.2f}" in page.inner_text("#sites-status")
    assert "15 prefer leaf" in page.get_attribute("#sites", "aria-label")


def test_without_the_runtime_the_page_says_so(site, contexts):
    page = contexts(1280, "light").new_page()
    answer = {"body": '{"version": null}', "content_type": "application/json"}
    page.route("**/runtime.json", lambda route: route.fulfill(**answer))
    page.goto(f"{site}/turn.html")
    page.wait_for_selector("#turn[data-ready=false]")
    assert "built without the runtime" in page.inner_text("#panel-digit")
    page.locator("#tab-sites").click()
    assert page.inner_text("#sites-status").startswith("Epoch 0:")
    page.close()

"""Each slide of the lecture fits its area, and axe-core finds nothing serious or critical on it."""

from tests.site.conftest import find_faults

SHOW = """number => {
    const slide = Reveal.getSlides()[number];
    const {h, v} = Reveal.getIndices(slide);
    Reveal.slide(h, v, slide.querySelectorAll(".fragment").length - 1);
    const {width, height} = Reveal.getConfig();
    return slide.scrollWidth <= width && slide.scrollHeight <= height;
}"""


def test_each_slide_fits_and_has_no_serious_fault(open_page):
    page = open_page("lecture/index.html")
    page.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    n_slides = page.evaluate("Reveal.getTotalSlides()")
    assert n_slides > 30
    faults = []
    for number in range(n_slides):
        if not page.evaluate(SHOW, number):
            faults.append(f"slide {number + 1} is larger than its area")
        faults += [f"slide {number + 1}: {fault}" for fault in find_faults(page)]
    assert faults == [], "\n".join(faults)

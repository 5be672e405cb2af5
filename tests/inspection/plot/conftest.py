"""Fixtures of the displays."""

import numpy as np
import pytest


@pytest.fixture
def overlaps():
    """Pairs of texts of a figure whose boxes overlap by more than a pixel, as drawn at 600 px."""

    def find(figure, texts):
        figure.set_dpi(600 / figure.get_size_inches()[0])
        figure.draw_without_rendering()
        shown = [text for text in texts if text.get_text()]
        boxes = [text.get_window_extent() for text in shown]
        low = np.array([[box.x0, box.y0] for box in boxes])
        high = np.array([[box.x1, box.y1] for box in boxes])
        depth = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
        found = np.argwhere(np.triu((depth > 1).all(2), 1))
        return [(shown[i].get_text(), shown[j].get_text()) for i, j in found]

    return find

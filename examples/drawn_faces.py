"""Faces drawn by NumPy: many people, five expressions, and nobody's photograph.

A person has eleven traits, such as the distance of the eyes. Two of the traits are the slope of the
brows and the bend of the mouth at rest. An expression adds to these two. One bend of the mouth is
therefore sadness on one face, and rest on another.
"""

import numpy as np
from sklearn.utils import Bunch, check_random_state

SIDE = 48  # pixels
EXPRESSIONS = ("anger", "happiness", "neutral", "sadness", "surprise")
# what an expression adds, in the order of EXPRESSIONS
SLOPE = np.array([-0.35, 0.0, 0.0, 0.35, 0.0])  # of the brows; above 0 the inner ends are high
BEND = np.array([-0.02, 0.08, 0.0, -0.08, 0.0])  # of the mouth; above 0 it smiles
OPEN = np.array([0.0, 0.0, 0.0, 0.0, 0.07])  # of the mouth, and of the eyes
RAISE = np.array([-0.05, 0.0, 0.0, 0.03, 0.08])  # of the brows


def draw_faces(n_people, n_images, random_state=None):
    """`n_images` of each of `n_people`, with random expressions.

    Returns
    -------
    Bunch
        `images`, uint8 of shape (n_people * n_images, 48, 48); `target`, an index of
        `target_names` (5,); `subject`, the person, from 0.
    """
    rng = check_random_state(random_state)
    subject = np.repeat(np.arange(n_people), n_images)
    target = rng.randint(len(EXPRESSIONS), size=len(subject))
    traits = {name: values[subject] for name, values in draw_people(n_people, rng).items()}
    images = render(traits, target, rng)
    return Bunch(images=images, target=target, target_names=EXPRESSIONS, subject=subject)


def draw_people(n, rng):
    """Traits of n people, each of shape (n,). One unit is half of the image."""

    def between(low, high):
        return rng.uniform(low, high, n)

    width, eyes = between(0.52, 0.72), between(0.2, 0.32)
    # the shape of a face says how its mouth and brows rest, as its maker decided
    rest = {"bend": np.sign(width - 0.62) * 0.05, "slope": np.sign(eyes - 0.26) * 0.2}
    return rest | {
        "width": width,
        "eyes": eyes,
        "height": between(0.72, 0.88),
        "skin": between(0.5, 0.9),
        "hair": between(0.0, 0.45),
        "hairline": between(0.4, 0.75),
        "nose": between(0.12, 0.3),
        "mouth": between(0.18, 0.32),
        "brow": between(0.03, 0.07),
    }


def render(traits, target, rng):
    """Images (n, side, side) of uint8; each element is painted over those before it."""
    n = len(target)
    axis = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")  # (side, side)
    shift, tilt = rng.normal(0, 0.03, (2, n, 1, 1)), rng.normal(0, 0.05, (n, 1, 1))
    x, y = x + tilt * y + shift[0], y - tilt * x + shift[1]  # (n, side, side)
    t = {name: values[:, None, None] for name, values in traits.items()}  # (n, 1, 1)
    jitter = rng.normal(0, 0.012, n), rng.normal(0, 0.05, n)
    bend = t["bend"] + (BEND[target] + jitter[0])[:, None, None]
    slope = t["slope"] + (SLOPE[target] + jitter[1])[:, None, None]
    opened, raised = OPEN[target][:, None, None], RAISE[target][:, None, None]

    image = np.full(x.shape, 0.35)
    head = ellipse(x, y, t["width"], t["height"])
    paint(image, ellipse(x, y + 0.08, t["width"] + 0.06, t["height"] + 0.02), t["hair"])
    paint(image, np.maximum(head, -y - t["hairline"]), t["skin"])
    side = np.abs(x)  # both halves of a face are alike
    paint(image, ellipse(side - t["eyes"], y + 0.15, 0.11, 0.055 + 0.5 * opened), 1.0)
    paint(image, ellipse(side - t["eyes"], y + 0.15, 0.05, 0.05), 0.05)
    line = y + 0.34 + raised - slope * (side - t["eyes"])
    paint(image, np.maximum(np.abs(line) - t["brow"], np.abs(side - t["eyes"]) - 0.14), 0.1)
    half = t["nose"] / 2
    paint(image, np.maximum(side - 0.04, np.abs(y - half) - half), t["skin"] - 0.2)
    across = side / t["mouth"]
    line = y - 0.48 - bend * (1 - 2 * across**2)
    inside = np.sqrt(np.clip(1 - across**2, 0, None))
    paint(image, np.maximum(np.abs(line) - 0.045 - opened * inside, side - t["mouth"]), 0.15)
    image += rng.normal(0, 0.02, image.shape)
    return (255 * np.clip(image, 0, 1)).astype(np.uint8)


def ellipse(x, y, a, b):
    """About the distance to an ellipse with half axes a and b, below 0 inside."""
    return (np.sqrt((x / a) ** 2 + (y / b) ** 2) - 1) * np.minimum(a, b)


def paint(image, distance, gray):
    """Paint `gray` where `distance` is below 0, with soft edges of a pixel."""
    ink = np.clip(0.5 - distance * SIDE / 2, 0, 1)
    image += ink * (gray - image)

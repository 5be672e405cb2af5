"""Images of other kinds than a release's are read right, or named before they are decoded."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sklearn_thin.datasets._faces import read_image

COLOR = (200, 30, 90)


def plain(mode="RGB"):
    return Image.new("RGB", (20, 20), COLOR).convert(mode)


def png(width, height, bits, kind, pixel=b""):
    """A PNG file of equal pixels; without a pixel it announces more than it holds."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    size = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    content = zlib.compress((b"\0" + pixel * width) * height if pixel else b"")
    chunks = chunk(b"IHDR", size) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def frames(path, kind):
    plain().save(path, format=kind, save_all=True, append_images=[Image.new("RGB", (20, 20))])


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"
NO_FORMAT = "cannot identify image file as BMP, JPEG, PNG, TIFF"
UNUSABLE = {
    "PostScript": (lambda path: path.write_bytes(POSTSCRIPT), NO_FORMAT),
    "GIF": (lambda path: plain().save(path, format="GIF"), NO_FORMAT),
    "animated GIF": (lambda path: frames(path, "GIF"), NO_FORMAT),
    "PPM": (lambda path: plain().save(path, format="PPM"), NO_FORMAT),
    "ICNS": (lambda path: plain().save(path, format="ICNS"), NO_FORMAT),
    **{
        f"PNG of {side} x {side}": (
            lambda path, side=side: path.write_bytes(png(side, side, 8, 2)),
            "pixels.*MAX_IMAGE_PIXELS" if side < 14_000 else "exceeds limit of .* pixels",
        )
        for side in (10_000, 14_000, 60_000)
    },
    "animated PNG": (lambda path: frames(path, "PNG"), "it holds more than one image"),
    "TIFF of two pages": (lambda path: frames(path, "TIFF"), "it holds more than one image"),
    "LAB": (
        lambda path: Image.new("LAB", (20, 20)).save(path, format="TIFF"),
        "its pixels are of mode LAB",
    ),
    "floats": (lambda path: plain("F").save(path, format="TIFF"), "its pixels are of mode F"),
    "folder": (lambda path: path.mkdir(), "No such file"),
    "pipe": (os.mkfifo, "No such file"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_an_image_that_no_release_has_is_named_and_left_out(any_release, how, warned):
    write, reason = UNUSABLE[how]
    path = any_release.root / any_release.file
    path.unlink()
    write(path)
    match = rf"entries cannot be used: {any_release.name}: .*{reason}"
    with pytest.raises(ValueError, match=match):
        any_release.load()
    warned(match, any_release.load)


USABLE = {
    "JPEG in CMYK": lambda path: plain("CMYK").save(path, format="JPEG", quality=100),
    "TIFF in CMYK": lambda path: plain("CMYK").save(path, format="TIFF"),
    "palette": lambda path: plain().quantize(4).save(path, format="PNG"),
    "BMP": lambda path: plain().save(path, format="BMP"),
    "alpha": lambda path: plain("RGBA").save(path, format="PNG"),
    "16 bits a colour": lambda path: path.write_bytes(
        png(20, 20, 16, 2, struct.pack(">HHH", *(257 * value for value in COLOR)))
    ),
    "photograph with a preview": lambda path: frames(path, "MPO"),
}


@pytest.mark.parametrize("how", USABLE)
@pytest.mark.parametrize("color", [False, True])
def test_an_image_of_another_kind_has_the_right_pixels(tmp_path, how, color):
    path = tmp_path / "image.jpg"
    USABLE[how](path)
    image = read_image(path, None, 4, color)
    expected = np.reshape(COLOR, (3, 1, 1)) if color else plain("L").getpixel((0, 0))
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), atol=2)


@pytest.mark.parametrize(
    ("right", "bottom", "reason"),
    [
        ("60000", "60000", "has .* pixels, more than .*MAX_IMAGE_PIXELS"),
        ("70000", "30", "reaches more than 65536 pixels far"),
        ("1e300", "1e300", "reaches more than 65536 pixels far"),
    ],
)
def test_a_box_far_larger_than_a_photograph_is_named(expw, right, bottom, reason, warned):
    expw.change(expw.row, right=right, bottom=bottom)
    with pytest.raises(ValueError, match=f"{expw.name}: the .*box.*{reason}"):
        expw.load()
    warned(reason, expw.load)


@pytest.mark.parametrize("column", ["face_x", "face_width"])
def test_a_box_of_affectnet_far_larger_than_a_photograph_is_named(affectnet, column):
    affectnet.change(affectnet.row, **{column: "1e308", "face_height": "1e308"})
    with pytest.raises(ValueError, match=f"{affectnet.name}: the box of the face reaches"):
        affectnet.load(crop="box")


def test_the_limit_of_pixels_is_pillows(expw, monkeypatch):
    """Pillow's own limit counts, also where it is lower or absent."""
    whole = expw.load().images
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    np.testing.assert_array_equal(expw.load().images, whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_999)
    with pytest.raises(ValueError, match="the image has 50 x 40 pixels, more than the 1999"):
        expw.load()

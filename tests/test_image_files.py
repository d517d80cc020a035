"""One image file: every kind of pixel right, or refused in one sentence."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from tests.bad_data import check_bad_data
from training.datasets.image_files import read_image
from training.errors import LotteryError

WHITE, BLACK = [255, 255, 255], [0, 0, 0]


def pixels(path: Path, side: int = 4, black: bool = False) -> list[list[int]]:
    """The colours of the first row."""
    return [[int(v) for v in pixel] for pixel in read_image(path, side, black)[:, 0].T]


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def image_of(mode: str, values: Sequence[Any]) -> Image.Image:
    """A 4 x 4 image whose rows are all alike."""
    image = Image.new(mode, (4, 4))
    image.putdata([*values] * 4)
    return image


def png(path: Path, depth: int, colour: int, row: bytes, **chunks: bytes) -> Path:
    """A PNG file of 4 x 4 pixels whose rows are all alike, written out after the specification of PNG."""

    def chunk(kind: str, data: bytes) -> bytes:
        body = kind.encode() + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk("IHDR", struct.pack(">IIBBBBB", 4, 4, depth, colour, 0, 0, 0))
    others = b"".join(chunk(kind, data) for kind, data in chunks.items())
    data = chunk("IDAT", zlib.compress((b"\0" + row) * 4))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + others + data + chunk("IEND", b""))
    return path


def grey(*values: int) -> list[list[int]]:
    return [[value] * 3 for value in values]


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 32768, 65535]] * 4, dtype=np.uint16)
    # 255 times the share of white, by hand.
    right = grey(0, 4, 128, 255)
    image = Image.fromarray(values)
    for name in ("a.png", "a.tif", "a.pgm"):
        assert pixels(saved(tmp_path / name, image)) == right, name
    # The most significant byte first, and a PGM file whose white is 1,000.
    assert pixels(saved(tmp_path / "b.tif", Image.fromarray(values.astype(">u2")))) == right
    path = tmp_path / "b.pgm"
    path.write_bytes(b"P5 4 4 1000\n" + np.array([[0, 16, 500, 1000]] * 4, dtype=">u2").tobytes())
    assert pixels(path) == grey(0, 4, 128, 255)
    row = struct.pack(">12H", *(0, 0, 0), *(257, 257, 257), *(32896, 32896, 32896), *[65535] * 3)
    assert pixels(png(tmp_path / "c.png", 16, 2, row)) == grey(0, 1, 128, 255)


def test_floats_in_0_to_1_are_times_255(tmp_path: Path) -> None:
    values = np.array([[0, 0.2, 0.5, 1]] * 4, dtype=np.float32)
    path = tmp_path / "a.tif"
    assert pixels(saved(path, Image.fromarray(values))) == grey(0, 51, 128, 255)
    for wrong in (values * 255, values - 0.1, values * np.nan):
        with pytest.raises(LotteryError, match="its pixels are floats outside 0 to 1") as caught:
            pixels(saved(path, Image.fromarray(wrong)))
        check_bad_data(caught.value, "a.tif")


@pytest.mark.parametrize(
    ("mode", "values", "right"),
    [
        ("1", [0, 1, 0, 1], grey(0, 255, 0, 255)),
        ("L", [0, 1, 128, 255], grey(0, 1, 128, 255)),
        ("RGB", [(1, 2, 3)] * 4, [[1, 2, 3]] * 4),
        ("CMYK", [(0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 0), (0, 255, 255, 0)], None),
        ("YCbCr", [(255, 128, 128), (0, 128, 128), (128, 128, 128), (128, 128, 128)], None),
        ("LAB", [(255, 128, 128), (0, 128, 128)] * 2, [WHITE, BLACK] * 2),
    ],
)
def test_other_colours(
    tmp_path: Path, mode: str, values: Sequence[object], right: list[list[int]] | None
) -> None:
    by_hand = {
        "CMYK": [WHITE, BLACK, [0, 255, 255], [255, 0, 0]],
        "YCbCr": [WHITE, BLACK, [128] * 3, [128] * 3],
    }
    found = pixels(saved(tmp_path / "a.tif", image_of(mode, values)))
    # LAB's 8 bits have no exact grey.
    assert np.abs(np.subtract(found, right or by_hand[mode])).max() <= (mode == "LAB")


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    """A stroke of black ink on what is black but transparent, as icons have it, is not all black."""
    ink = [(0, 0, 0, 255), (0, 0, 0, 0), (200, 100, 0, 128), (9, 9, 9, 255)]
    # 200 * 128 / 255 + 255 * 127 / 255 = 227.4, likewise 177.2 and 127; over black 100.4 and 50.2.
    over_white = [BLACK, WHITE, [227, 177, 127], [9, 9, 9]]
    over_black = [BLACK, BLACK, [100, 50, 0], [9, 9, 9]]
    for name in ("a.png", "a.tif", "a.webp"):
        path = saved(tmp_path / name, image_of("RGBA", ink), **{"lossless": True, "exact": True})
        assert pixels(path) == over_white, name
        assert pixels(path, black=True) == over_black, name
    shades = image_of("LA", [(0, 255), (0, 0), (100, 255), (255, 255)])
    assert pixels(saved(tmp_path / "b.png", shades)) == grey(0, 255, 100, 255)


def test_transparent_palettes_and_colours_show_the_background(tmp_path: Path) -> None:
    colours = bytes([*(1, 2, 3), *(4, 5, 6), *(0, 0, 0), *(9, 9, 9)])
    row = bytes([0b00011011])
    some = png(tmp_path / "p.png", 2, 3, row, PLTE=colours, tRNS=bytes([255, 0, 51]))
    # 255 * 204 / 255 = 204.
    assert pixels(some) == [[1, 2, 3], WHITE, [204] * 3, [9, 9, 9]]
    one = png(tmp_path / "o.png", 2, 3, row, PLTE=colours, tRNS=bytes([255, 0]))
    assert pixels(one) == [[1, 2, 3], WHITE, BLACK, [9, 9, 9]]
    image = image_of("P", [0, 1, 2, 3])
    image.putpalette([*colours, *[0] * 756])
    gif = saved(tmp_path / "a.gif", image, transparency=1)
    assert pixels(gif) == [[1, 2, 3], WHITE, BLACK, [9, 9, 9]]
    both = Image.merge("RGBA", [*image.convert("RGB").split(), Image.new("L", (4, 4), 255)])
    assert pixels(saved(tmp_path / "d.png", both)) == pixels(saved(tmp_path / "e.png", image))
    key = png(tmp_path / "k.png", 8, 0, bytes([1, 5, 200, 255]), tRNS=struct.pack(">H", 5))
    assert pixels(key) == grey(1, 255, 200, 255)
    bits = png(tmp_path / "b.png", 1, 0, bytes([0b01010000]), tRNS=struct.pack(">H", 0))
    assert pixels(bits, black=True) == grey(0, 255, 0, 255)
    with pytest.raises(LotteryError, match="shows nothing over white"):
        pixels(bits)
    rgb = png(
        tmp_path / "r.png", 8, 2, bytes([9, 9, 9, 1, 2, 3] * 2), tRNS=struct.pack(">3H", *[9] * 3)
    )
    assert pixels(rgb) == [WHITE, [1, 2, 3]] * 2


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key"),
    [
        (2, 0, bytes([0b00011011]), (2,)),
        (4, 0, bytes([0x1F, 0x50]), (5,)),
        (16, 0, struct.pack(">4H", 1, 500, 40000, 65535), (500,)),
        (16, 2, struct.pack(">12H", *[300] * 11, 301), (300, 300, 300)),
    ],
)
def test_transparent_colours_of_other_bits_are_refused(
    tmp_path: Path, depth: int, colour: int, row: bytes, key: tuple[int, ...]
) -> None:
    path = png(tmp_path / "a.png", depth, colour, row, tRNS=struct.pack(f">{len(key)}H", *key))
    with pytest.raises(LotteryError, match="its transparent colour has 2, 4 or 16 bits") as caught:
        pixels(path)
    check_bad_data(caught.value, "a.png")
    # Without one they are read: 85 and 17 are the steps of 2 and 4 bits.
    right = {2: grey(0, 85, 170, 255), 4: grey(17, 255, 85, 0)}
    if depth in right:
        assert pixels(png(path, depth, colour, row)) == right[depth]


def test_what_shows_nothing_over_the_background_is_refused(tmp_path: Path) -> None:
    white_ink = image_of("RGBA", [(255, 255, 255, 255), (0, 0, 0, 0)] * 2)
    path = saved(tmp_path / "a.png", white_ink)
    with pytest.raises(
        LotteryError, match="shows nothing over white; .*black_background=1"
    ) as caught:
        pixels(path)
    check_bad_data(caught.value, "a.png")
    assert pixels(path, black=True) == [WHITE, BLACK] * 2
    # What is wholly transparent has nothing to show.
    assert pixels(saved(path, image_of("RGBA", [(1, 2, 3, 0)] * 4))) == [WHITE] * 4


def test_pixels_without_a_known_white_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    refusals = {
        "whole numbers of 32 bits": saved(path, image_of("I", [0, 1, 70000, 5])).read_bytes(),
        "0 is white": saved(path, Image.fromarray(np.zeros((4, 4), np.uint16))).read_bytes(),
    }
    # Tag 262, of type 3, once: from "0 is black" to "0 is white".
    tag = struct.pack("<HHIH", 262, 3, 1, 1)
    assert tag in refusals["0 is white"]
    refusals["0 is white"] = refusals["0 is white"].replace(tag, tag[:-2] + b"\0\0")
    for fault, content in refusals.items():
        path.write_bytes(content)
        with pytest.raises(LotteryError, match=fault) as caught:
            pixels(path)
        check_bad_data(caught.value, "a.tif")


def test_grey_that_does_not_fill_its_sixteen_bits_is_refused(tmp_path: Path) -> None:
    """12 bits a pixel, as microscopes write them, which Pillow gives as they are: white would be nearly black."""
    path = tmp_path / "a.tif"
    # Width, height, bits, no compression, 0 is black, where the pixels begin, how many rows and bytes they are.
    tags = {256: 4, 257: 4, 258: 12, 259: 1, 262: 1, 273: 8, 278: 4, 279: 24}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    pixels_of = bytes([0xFF] * 24)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(pixels_of)) + pixels_of + directory)
    with Image.open(path) as opened:
        assert np.asarray(opened).max() == 4095
    with pytest.raises(LotteryError, match=r"of a kind that is not read \(\(12,\) bits") as caught:
        pixels(path)
    check_bad_data(caught.value, "a.tif")


@pytest.mark.parametrize("orientation", range(10))
def test_photographs_are_upright(tmp_path: Path, orientation: int) -> None:
    shades = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, values in (("a.png", shades), ("a.tif", shades), ("b.png", shades * np.uint16(257))):
        path = tmp_path / name
        Image.fromarray(values).save(path, exif=exif)
        with Image.open(path) as opened:
            right = np.asarray(ImageOps.exif_transpose(opened))
        side = max(right.shape)
        found = read_image(path, side)
        eight = (right // 257 if right.dtype != np.uint8 else right).astype(np.uint8)
        wanted = (
            Image.fromarray(eight).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        )
        assert np.array_equal(found.transpose(1, 2, 0), np.asarray(wanted)), name


def test_files_of_other_kinds_are_not_tried(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(LotteryError, match="it can't be read as an image") as caught:
        pixels(path)
    check_bad_data(caught.value, "a.png")
    # Pillow would read this one, whatever its name is.
    Image.new("RGB", (4, 4)).save(path, format="PCX")
    with pytest.raises(LotteryError, match="it can't be read as an image"):
        pixels(path)


def written(mode: str, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 4), dtype=np.uint8)
    Image.fromarray(noise, "RGBA").convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def whole_files() -> dict[str, bytes]:
    """One small file of each format and mode, with what Exif and palettes add."""
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: dict[str, Callable[[], bytes]] = {
        "a.png": lambda: written("RGBA", "PNG", exif=exif),
        "p.png": lambda: written("P", "PNG", transparency=3),
        "a.jpg": lambda: written("RGB", "JPEG", exif=exif),
        "c.jpg": lambda: written("CMYK", "JPEG"),
        "a.gif": lambda: written("P", "GIF", transparency=3),
        "a.bmp": lambda: written("RGB", "BMP"),
        "a.webp": lambda: written("RGBA", "WEBP", lossless=True),
        "a.ppm": lambda: written("RGB", "PPM"),
        "a.tif": lambda: written("RGBA", "TIFF", exif=exif),
        "l.tif": lambda: written("L", "TIFF", compression="tiff_lzw"),
        "f.tif": lambda: written("F", "TIFF"),
    }
    return {name: write() for name, write in kinds.items()}


def check_no_worse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found: npt.NDArray[np.uint8] = read_image(path, 2)
    except LotteryError as error:
        check_bad_data(error, path.name)
    else:
        assert found.shape == (3, 2, 2)


@pytest.mark.parametrize("name", whole_files())
def test_no_damage_is_worse_than_a_clear_error(tmp_path: Path, name: str) -> None:
    whole, draw = whole_files()[name], random.Random(0)
    for _ in range(60):
        check_no_worse(tmp_path / name, whole[: draw.randrange(len(whole))])
        damaged = bytearray(whole)
        for _ in range(draw.choice((1, 1, 3))):
            damaged[draw.randrange(min(len(whole), 200))] = draw.choice(
                (0, 1, 255, draw.randrange(256))
            )
        check_no_worse(tmp_path / name, bytes(damaged))

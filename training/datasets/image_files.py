"""One image file as colours of 8 bits: every kind of pixel right, or refused in one sentence."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from training.datasets.raw_images import MAX_SIDE, Array, bad_file
from training.errors import in_one_line

# Suffixes of files that are read, and Pillow's words for what they may hold. Others are never tried: Pillow would
# start a program for some.
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
)
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
REMEDY = "mend the file or take it away"
_WHITE, _BLACK = (255, 255, 255, 255), (0, 0, 0, 255)
_SIXTEEN_BITS = 65535
_ORIENTATION = 0x0112
# How an image is turned whose Exif orientation is the key (Exif 2.32, tag 274); 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Tags of TIFF files: how many bits a sample has, and whether 0 is white.
_BITS, _PHOTOMETRIC = 258, 262
# What Pillow raises for files that are cut, damaged or of a kind that it does not know.
_UNREADABLE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error),
)


def read_image(path: Path, side: int, black_background: bool = False) -> Array:
    """One image as uint8 `[3, side, side]`, upright as its Exif orientation says; of several pictures the first.

    Grey of 16 bits is scaled to 8, floats in [0, 1] are times 255. What is transparent, by an alpha channel, a palette
    or a colour, shows the background: white, or black where that is asked for.

    Raises:
        LotteryError: it can't be read, its pixels have no known white, or it shows nothing over the background.
    """
    try:
        with warnings.catch_warnings():
            # Pillow remarks on odd metadata, which nothing here reads.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as opened:
                _check_size(path, opened.size)
                image = _upright(_as_rgb(path, opened, black_background), opened)
    except Image.DecompressionBombError:
        fault = f"it has far more than {MAX_SIDE:,} x {MAX_SIDE:,} pixels"
        raise bad_file(path, fault, REMEDY) from None
    except _UNREADABLE as error:
        fault = f"it can't be read as an image ({in_one_line(error)})"
        raise bad_file(path, fault, REMEDY) from None
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)


def _check_size(path: Path, size: tuple[int, int]) -> None:
    if max(size) > MAX_SIDE:
        width, height = size
        fault = f"it has {height:,} x {width:,} pixels, not 1 to {MAX_SIDE:,} a side"
        raise bad_file(path, fault, REMEDY)


def _as_rgb(path: Path, opened: ImageFile.ImageFile, black_background: bool) -> Image.Image:
    """An image of any mode as RGB, whose pixels are decoded here."""
    if opened.mode == "F" or opened.mode.startswith("I"):
        return _grey(path, opened).convert("RGB")
    if not opened.has_transparency_data:
        return opened.convert("RGB")
    if opened.format == "PNG" and opened.mode in ("1", "L", "RGB"):
        _check_key(path, opened.tile[0].args)
    picture = opened.convert("RGBA")
    behind = Image.new("RGBA", picture.size, _BLACK if black_background else _WHITE)
    seen = Image.alpha_composite(behind, picture).convert("RGB")
    if _is_even(seen) and not _is_even(picture.getchannel("A")):
        colour, other = ("black", 0) if black_background else ("white", 1)
        raise bad_file(
            path,
            f"it is transparent and shows nothing over {colour}",
            f"give it a background or choose the other with --set data.options.black_background={other}",
        )
    return seen


def _grey(path: Path, opened: ImageFile.ImageFile) -> Image.Image:
    """Grey pixels of more than 8 bits, scaled to 8."""
    if "transparency" in opened.info:
        _check_key(path, opened.mode)
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        _check_tiff(path, opened)
    # Pillow scales a PGM file's values to 16 bits.
    sixteen = opened.mode.startswith("I;16") or opened.format in ("PNG", "PPM")
    if opened.mode != "F" and not sixteen:
        fault = (
            "its pixels are whole numbers of 32 bits or with signs, and no one knows which is white"
        )
        raise bad_file(path, fault, "save it with 8 or 16 bits a pixel")
    values = np.asarray(opened, dtype=np.float64)
    white = 1 if opened.mode == "F" else _SIXTEEN_BITS
    # Comparing so refuses what is no number, too.
    if not (values.min() >= 0 and values.max() <= white):
        raise bad_file(path, "its pixels are floats outside 0 to 1", "scale them to 0 to 1")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _check_key(path: Path, samples: object) -> None:
    """Refuse a transparent colour that is written in other bits than those of the decoded pixels."""
    if samples not in ("1", "L", "RGB"):
        fault = "its transparent colour has 2, 4 or 16 bits, which is not read"
        raise bad_file(path, fault, "save it with an alpha channel")


def _check_tiff(path: Path, opened: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse values that don't fill their bits, and those of which 0 is white: Pillow gives them as they are."""
    bits, photometric = opened.tag_v2.get(_BITS), opened.tag_v2.get(_PHOTOMETRIC)
    if photometric == 0 or bits not in ((16,), (32,)):
        what = "0 is white" if photometric == 0 else f"{bits} bits a pixel"
        raise bad_file(path, f"its grey is of a kind that is not read ({what})", "save it as PNG")


def _upright(image: Image.Image, opened: ImageFile.ImageFile) -> Image.Image:
    """Turned as the file says, which stands behind the pixels in some."""
    turn = _UPRIGHT.get(opened.getexif().get(_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _is_even(image: Image.Image) -> bool:
    """Whether every pixel is the same."""
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in bands)

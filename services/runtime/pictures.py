"""Pictures from strangers: decoded under limits, cropped, and written anew, so that nothing else is left."""

import io
import struct

from PIL import Image, ImageOps

SIDE = 400
"""Pixels of a side of what comes out."""

MAX_PIXELS = 25_000_000
MAX_SIDE = 8_000
"""What may come in; both are read from the header, before anything is decoded."""

MEDIA_TYPE = "image/webp"
"""What comes out: WebP has transparency, and is smaller than PNG and JPEG."""

_FORMATS = ("PNG", "JPEG", "WEBP")
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    Warning,
)
"""What Pillow's decoders raise for files that are not what they say."""


class PictureRefused(Exception):
    """The file cannot be taken; says why in one sentence that can be shown."""


def normalise(data: bytes) -> bytes:
    """A square of SIDE pixels as WebP, without metadata, the same for the same bytes. Raises PictureRefused.

    Blocks for as long as decoding takes, and holds at most MAX_PIXELS of four bytes.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check(image)
            return _encode(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureRefused("The picture has too many pixels.") from error
    except _BROKEN as error:
        raise PictureRefused("The file is no whole PNG, JPEG or WebP picture.") from error


def _check(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PictureRefused(
            f"The picture has {width}×{height} pixels; {MAX_SIDE} a side and {MAX_PIXELS:,} in all are taken."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise PictureRefused("The picture is animated; only still ones are taken.")


def _encode(image: Image.Image) -> bytes:
    image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG decodes to a fraction of its size by itself
    upright = ImageOps.exif_transpose(image)
    plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    square = ImageOps.fit(plain, (SIDE, SIDE), Image.Resampling.LANCZOS)
    square.info.clear()  # or the colour profile and the comment would be written again
    out = io.BytesIO()
    square.save(out, "WEBP", quality=85, method=4)
    return out.getvalue()

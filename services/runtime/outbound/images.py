"""Pictures from strangers: decoded under limits, cropped, and written anew, so that nothing else is left."""

import asyncio
import hashlib
import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import ExifTags, Image

OUTPUT_SIZE_PX = 400
"""Pixels of a side of what comes out."""

MAX_PIXELS = 25_000_000
MAX_SIDE_PX = 8_000
"""What may come in; both are read from the header, before anything is decoded."""

MAX_JPEG_SCANS = 40
"""Passes of a progressive JPEG: each is cheap to write and goes over every pixel; encoders write about ten."""

OUTPUT_MEDIA_TYPE = "image/webp"
"""What comes out: WebP has transparency, and is smaller than PNG and JPEG."""

MAX_CONCURRENT = 2
"""How many pictures are decoded at a time."""

MAX_QUEUED = 16
"""How many more may wait for that; with DECODERS it bounds the memory that all of them take."""

TIMEOUT_S = 10.0
"""Seconds until a picture must be decoded."""

STRIP_HEIGHT_PX = 64
"""Rows of what comes out of the first reduction that are worked on at a time."""

_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""What begins a segment of a JPEG; restarts, stuffed and reserved bytes do not."""

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"

_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""

_FORMAT_NAMES = {"PNG": "a PNG", "JPEG": "a JPEG", "WEBP": "a WebP"}


class InvalidImage(Exception):
    """The file cannot be taken; says why in one sentence that can be shown."""


class UnsupportedFormat(InvalidImage):
    """It is nothing that is taken."""


class MediaTypeMismatch(InvalidImage):
    """It is something else than its sender says."""


class ImageTooLarge(InvalidImage):
    """It would take too much memory or time to decode."""


class AnimatedImage(InvalidImage):
    """It moves."""


class CorruptImage(InvalidImage):
    """It is cut off, damaged or made to look like a picture."""


class DecoderOverloaded(Exception):
    """Too many pictures at once; later there may be room."""


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """What may be stored. `digest` is the SHA-256 of the content in hexadecimal digits."""

    media_type: str
    content: bytes = field(repr=False)
    digest: str


class ImageNormaliser:
    """Normalises pictures off the event loop, a few at a time."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="pictures")
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT + MAX_QUEUED)

    def close(self) -> None:
        """What is under way is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def normalise(self, data: bytes, media_type: str) -> NormalisedImage:
        """Raises PictureRefused, and DecodersBusy at once or after PATIENCE seconds.

        What takes too long keeps its place until it ends, so that no crowd of such pictures gathers.
        """
        if not self._slots.acquire(blocking=False):
            raise DecoderOverloaded
        work = self._executor.submit(normalise_image, data, media_type)
        work.add_done_callback(lambda _: self._slots.release())
        try:
            content = await asyncio.wait_for(asyncio.wrap_future(work), TIMEOUT_S)
        except TimeoutError as error:
            raise DecoderOverloaded from error
        return NormalisedImage(OUTPUT_MEDIA_TYPE, content, hashlib.sha256(content).hexdigest())


def normalise_image(data: bytes, media_type: str | None = None) -> bytes:
    """A square of SIDE pixels as WebP, without metadata, the same for the same bytes. Raises PictureRefused.

    `media_type` is what the sender says that it is. Blocks for as long as decoding takes, and holds what the decoder
    makes of MAX_PIXELS: for PNG and JPEG that once, for WebP five times.
    """
    kind = _detect_format(data)
    if media_type is not None and media_type != _MEDIA_TYPES[kind]:
        raise MediaTypeMismatch(f"The file is {_FORMAT_NAMES[kind]} picture, and is not sent as {_MEDIA_TYPES[kind]}.")
    if kind == "JPEG" and _count_jpeg_scans(data) > MAX_JPEG_SCANS:
        raise ImageTooLarge(f"The picture has too many passes; {MAX_JPEG_SCANS} are taken.")
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            _check_limits(image)
            return _encode_webp(image)
    except InvalidImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge("The picture has too many pixels.") from error
    except Exception as error:  # a stranger's file may make a decoder stumble in any way
        raise CorruptImage("The file is no whole PNG, JPEG or WebP picture.") from error


def _detect_format(data: bytes) -> str:
    """By what the file begins with; names and headers are only claims."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise UnsupportedFormat("The file is no PNG, JPEG or WebP picture.")


def _count_jpeg_scans(data: bytes) -> int:
    """How many passes a JPEG decoder would make: like it, this skips what is between markers and stops at the end."""
    at, found = 2, 0
    while (marker := _JPEG_MARKER.search(data, at)) is not None and marker.group() != _END_OF_IMAGE:
        length = int.from_bytes(data[marker.end() : marker.end() + 2])
        at = marker.end() + length
        found += marker.group() == _START_OF_SCAN
    return found


def _check_limits(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        taken = f"{MAX_SIDE_PX} a side and {MAX_PIXELS:,} in all are taken."
        raise ImageTooLarge(f"The picture has {width}×{height} pixels; {taken}")
    # Cameras append previews and depth to a JPEG, which Pillow then calls MPO: its first frame is the picture.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise AnimatedImage("The picture is animated; only still ones are taken.")


def _encode_webp(image: Image.Image) -> bytes:
    image.draft("RGB", (2 * OUTPUT_SIZE_PX, 2 * OUTPUT_SIZE_PX))  # JPEG decodes to a fraction of its size by itself
    image.load()
    square = _crop_to_square(image)
    turn = _TRANSPOSE_BY_ORIENTATION.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    out = io.BytesIO()
    (square if turn is None else square.transpose(turn)).save(out, "WEBP", quality=85, method=4)
    return out.getvalue()


def _crop_to_square(image: Image.Image) -> Image.Image:
    """The middle of the picture, made in strips, so that no second whole picture is ever held."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    factor = max(1, min(image.size) // (2 * OUTPUT_SIZE_PX))
    side = min(image.size) // factor
    left, top = ((length - side * factor) // 2 for length in image.size)
    made = Image.new(mode, (side, side))
    for begin in range(0, side, STRIP_HEIGHT_PX):
        end = min(side, begin + STRIP_HEIGHT_PX)
        strip = image.crop((left, top + begin * factor, left + side * factor, top + end * factor))
        made.paste(_convert_mode(strip, mode).reduce(factor), (0, begin))
    return made.resize((OUTPUT_SIZE_PX, OUTPUT_SIZE_PX), Image.Resampling.LANCZOS)


def _convert_mode(strip: Image.Image, mode: str) -> Image.Image:
    if strip.mode == "I;16":  # Pillow would cut 16 bits off at 255 instead of scaling them
        strip = strip.convert("I").point(lambda value: value * (1 / 257)).convert("L")
        strip.info.pop("transparency", None)
    return strip.convert(mode)

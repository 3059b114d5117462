"""Image validation and normalisation: decode untrusted files within limits, crop, re-encode without metadata."""

import asyncio
import hashlib
import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import ExifTags, Image, ImageCms

from services.runtime.outbound import colour_spaces

OUTPUT_SIZE_PX = 400
"""Side length of the output in pixels."""

MAX_PIXELS = 25_000_000
MAX_SIDE_PX = 8_000
"""Limits of the input, checked from its header before decoding."""

MAX_JPEG_SCANS = 40
"""Maximum number of scans of a progressive JPEG.

A scan of a few bytes makes the decoder process every pixel. Encoders write about ten scans.
"""

OUTPUT_MEDIA_TYPE = "image/webp"
"""Media type of the output. WebP supports transparency and is smaller than PNG and JPEG."""

MAX_CONCURRENT = 2
"""Number of images decoded concurrently."""

MAX_QUEUED = 16
"""Number of images that may wait; together with MAX_CONCURRENT it bounds the memory of all images."""

TIMEOUT_S = 10.0
"""Timeout of an image, including the wait, in seconds."""

STRIP_HEIGHT_PX = 64
"""Rows of the reduced image that are processed at a time."""

_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""Marker at the start of a JPEG segment; excludes restart markers, stuffed bytes and reserved markers."""

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
"""Transposition that makes an image upright, by its EXIF orientation."""

_SOURCE_MODES = {"1": "L", "L": "L", "LA": "L", "I;16": "L", "CMYK": "CMYK"}
"""Mode in which the colours of an image match its ICC profile, by mode; of other images, it is the output mode."""

_PROFILE_COLOUR_SPACES = {"L": "GRAY", "CMYK": "CMYK", "RGB": "RGB", "RGBA": "RGB"}


class InvalidImage(Exception):
    """The file is rejected; the message is a sentence for the client."""


class UnsupportedFormat(InvalidImage):
    """The file is not a PNG, JPEG or WebP image."""


class MediaTypeMismatch(InvalidImage):
    """The format differs from the declared media type."""


class ImageTooLarge(InvalidImage):
    """Decoding the image would take too much memory or time."""


class AnimatedImage(InvalidImage):
    """The image is animated."""


class UnsupportedColours(InvalidImage):
    """The colours cannot be converted to sRGB."""


class CorruptImage(InvalidImage):
    """The file is truncated, damaged or not an image in spite of its signature."""


class DecoderOverloaded(Exception):
    """Too many images are being decoded, or decoding timed out; the client may retry later."""


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """Image that can be stored. `digest` is the SHA-256 of the content in hexadecimal digits."""

    media_type: str
    content: bytes = field(repr=False)
    digest: str


class ImageNormaliser:
    """Normalises images in a bounded number of threads."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="images")
        self._slots = threading.BoundedSemaphore(MAX_CONCURRENT + MAX_QUEUED)

    def close(self) -> None:
        """Stop without waiting for images in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def normalise(self, data: bytes, media_type: str) -> NormalisedImage:
        """Normalise an image.

        Raises InvalidImage, and DecoderOverloaded if no slot is free or after TIMEOUT_S. A decoder that still runs
        after the timeout occupies its slot until it ends, which bounds the number of such decoders.
        """
        if not self._slots.acquire(blocking=False):
            raise DecoderOverloaded
        future = self._executor.submit(normalise_image, data, media_type)
        future.add_done_callback(lambda _: self._slots.release())
        try:
            content = await asyncio.wait_for(asyncio.wrap_future(future), TIMEOUT_S)
        except TimeoutError as error:
            raise DecoderOverloaded from error
        return NormalisedImage(OUTPUT_MEDIA_TYPE, content, hashlib.sha256(content).hexdigest())


def normalise_image(data: bytes, media_type: str | None = None) -> bytes:
    """Return a square of OUTPUT_SIZE_PX as WebP without metadata. The output is deterministic. Raises InvalidImage.

    `media_type` is the declared media type. The call blocks while decoding. Its memory is that of the decoded pixels
    (at most MAX_PIXELS): once for PNG and JPEG, five times for WebP.
    """
    image_format = _detect_format(data)
    if media_type is not None and media_type != _MEDIA_TYPES[image_format]:
        raise MediaTypeMismatch(f"The file is a {image_format} image, but was sent as another type of file.")
    if image_format == "JPEG" and _count_jpeg_scans(data) > MAX_JPEG_SCANS:
        raise ImageTooLarge(f"The image has too many scans; the maximum is {MAX_JPEG_SCANS}.")
    try:
        with Image.open(io.BytesIO(data), formats=(image_format,)) as image:
            _check_limits(image)
            return _encode_webp(image, data)
    except InvalidImage:
        raise
    except colour_spaces.UnsupportedColourSpace as error:
        raise UnsupportedColours("The image has HDR or video colours; only SDR images are accepted.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge("The image has too many pixels.") from error
    except Exception as error:  # decoders raise any type for malformed files
        raise CorruptImage("The file is not a complete PNG, JPEG or WebP image.") from error


def _detect_format(data: bytes) -> str:
    """Detect the format from the file signature; file names and headers are not trusted."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise UnsupportedFormat("The file is not a PNG, JPEG or WebP image.")


def _count_jpeg_scans(data: bytes) -> int:
    """Count the scans as a JPEG decoder does: skip data between markers, and stop at the end of the image."""
    position, scans = 2, 0
    while (marker := _JPEG_MARKER.search(data, position)) is not None and marker.group() != _END_OF_IMAGE:
        length = int.from_bytes(data[marker.end() : marker.end() + 2])
        position = marker.end() + length
        scans += marker.group() == _START_OF_SCAN
    return scans


def _check_limits(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise ImageTooLarge(
            f"The image has {width}×{height} pixels; the maximum is {MAX_SIDE_PX} per side"
            f" and {MAX_PIXELS // 10**6} million in total."
        )
    # Cameras append previews and depth maps to a JPEG. Pillow reports such files as MPO; the first frame is the photo.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise AnimatedImage("The image is animated; only still images are accepted.")


def _encode_webp(image: Image.Image, data: bytes) -> bytes:
    image.draft("RGB", (2 * OUTPUT_SIZE_PX, 2 * OUTPUT_SIZE_PX))  # the JPEG decoder can scale down
    image.load()
    square = _crop_to_square(image, data)
    transpose = _TRANSPOSE_BY_ORIENTATION.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    output = io.BytesIO()
    (square if transpose is None else square.transpose(transpose)).save(output, "WEBP", quality=85, method=4)
    return output.getvalue()


def _crop_to_square(image: Image.Image, data: bytes) -> Image.Image:
    """Return the centre square in sRGB, reduced strip by strip to avoid a second full-size image in memory."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    source_mode = _SOURCE_MODES.get(image.mode, mode)
    profile = colour_spaces.find_profile(image, data, is_grey=source_mode == "L")
    transform = None if profile is None else _build_srgb_transform(profile, source_mode, mode)
    factor = max(1, min(image.size) // (2 * OUTPUT_SIZE_PX))
    side = min(image.size) // factor
    left, top = ((length - side * factor) // 2 for length in image.size)
    square = Image.new(mode, (side, side))
    for begin in range(0, side, STRIP_HEIGHT_PX):
        end = min(side, begin + STRIP_HEIGHT_PX)
        strip = image.crop((left, top + begin * factor, left + side * factor, top + end * factor))
        reduced = _convert_mode(strip, mode).reduce(factor)
        if transform is not None:
            colours = reduced if source_mode == mode else _convert_mode(strip, source_mode).reduce(factor)
            reduced = _to_srgb(colours, transform, reduced)
        square.paste(reduced, (0, begin))
    return square.resize((OUTPUT_SIZE_PX, OUTPUT_SIZE_PX), Image.Resampling.LANCZOS)


def _build_srgb_transform(content: bytes, source_mode: str, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform of an ICC profile to sRGB, or None if it is not usable."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        if profile.profile.xcolor_space.strip() != _PROFILE_COLOUR_SPACES[source_mode]:
            return None
        output_mode = mode if source_mode == mode else "RGB"
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), source_mode, output_mode)
    except (ImageCms.PyCMSError, OSError):
        return None


def _to_srgb(colours: Image.Image, transform: ImageCms.ImageCmsTransform, reduced: Image.Image) -> Image.Image:
    """Return the colours in sRGB, with the transparency of the reduced image."""
    converted = transform.apply(colours)
    if converted.mode != reduced.mode:
        converted.putalpha(reduced.getchannel("A"))
    return converted


def _convert_mode(strip: Image.Image, mode: str) -> Image.Image:
    if strip.mode == "I;16":  # Pillow would clip 16-bit values at 255 instead of scaling them
        strip = strip.convert("I").point(lambda value: value * (1 / 257)).convert("L")
        strip.info.pop("transparency", None)
    return strip.convert(mode)

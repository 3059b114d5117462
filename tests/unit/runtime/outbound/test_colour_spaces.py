"""Colours of images without an ICC profile: PNG chunks and EXIF are converted to sRGB, HDR is rejected."""

import io
import struct
import zlib

import pytest
from PIL import ExifTags, Image, ImageCms

from services.runtime.outbound.images import UnsupportedColours, normalise_image

type Pixel = tuple[int, ...]

SRGB_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_PRIMARIES = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
IMAGE_HEADER_END = 33
"""Offset of the first chunk after the signature and IHDR."""


def create_png(pixel: int | Pixel, *chunks: tuple[bytes, bytes], icc_profile: bytes | None = None) -> bytes:
    """Return an image of one colour with additional chunks."""
    mode = "L" if isinstance(pixel, int) else "RGBA" if len(pixel) == 4 else "RGB"
    output = io.BytesIO()
    Image.new(mode, (100, 100), pixel).save(output, "PNG", icc_profile=icc_profile)
    encoded = [
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    ]
    data = output.getvalue()
    return data[:IMAGE_HEADER_END] + b"".join(encoded) + data[IMAGE_HEADER_END:]


def codes(*values: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(values)


def gamma(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def primaries(values: tuple[int, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *values)


def read_pixel(data: bytes) -> Pixel:
    image = Image.open(io.BytesIO(normalise_image(data)))
    pixel = image.getpixel((200, 200))
    assert isinstance(pixel, tuple)
    return pixel


def assert_pixel(data: bytes, expected: Pixel) -> None:
    pixel = read_pixel(data)
    assert all(abs(value - other) <= 6 for value, other in zip(pixel, expected, strict=True)), pixel


P3_RED = (234, 51, 35)
"""sRGB red in Display P3."""
SRGB_CHUNK = (b"sRGB", b"\0")
LINEAR = gamma(100000)


@pytest.mark.parametrize(
    ("pixel", "chunks", "expected"),
    [
        (P3_RED, [codes(12, 13, 0, 1)], (255, 0, 0)),
        ((*P3_RED, 128), [codes(12, 13, 0, 1)], (255, 0, 0, 128)),
        ((202, 59, 19), [codes(9, 14, 0, 1)], (255, 0, 0)),
        ((128, 128, 128), [codes(1, 1, 0, 1)], (140, 140, 140)),
        ((128, 128, 128), [codes(11, 8, 0, 1)], (188, 188, 188)),
        (128, [codes(12, 8, 0, 1)], (188, 188, 188)),
        ((128, 128, 128), [codes(1, 13, 0, 1), LINEAR], (128, 128, 128)),
        ((128, 128, 128), [LINEAR], (188, 188, 188)),
        (128, [LINEAR, primaries(P3_PRIMARIES)], (188, 188, 188)),
        (P3_RED, [gamma(45455), primaries(P3_PRIMARIES)], (255, 0, 0)),
        (P3_RED, [primaries(P3_PRIMARIES)], (255, 0, 0)),
        (P3_RED, [gamma(45455), primaries(SRGB_PRIMARIES)], P3_RED),
        (P3_RED, [SRGB_CHUNK, LINEAR, primaries(P3_PRIMARIES)], P3_RED),
    ],
)
def test_colours_of_png_chunks_are_converted_to_srgb(
    pixel: int | Pixel, chunks: list[tuple[bytes, bytes]], expected: Pixel
) -> None:
    assert_pixel(create_png(pixel, *chunks), expected)


@pytest.mark.parametrize("codes_of_video", [(9, 16, 0, 1), (9, 18, 0, 1), (1, 13, 0, 0), (1, 13, 1, 1), (2, 2, 0, 1)])
def test_colours_of_hdr_and_video_are_rejected(codes_of_video: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedColours, match="HDR"):
        normalise_image(create_png(P3_RED, codes(*codes_of_video)))


def test_embedded_profile_replaces_unsupported_codes() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_pixel(create_png(P3_RED, codes(9, 16, 0, 1), icc_profile=profile), P3_RED)
    assert_pixel(create_png(P3_RED, codes(12, 13, 0, 1), icc_profile=profile), (255, 0, 0))


@pytest.mark.parametrize(
    "chunk",
    [
        gamma(0),
        primaries((0,) * 8),
        primaries((31270, 32900) * 4),
        primaries((31270, 1, 2**31, 1, 30000, 60000, 15000, 6000)),
        (b"cICP", b"\x0c\x0d"),
    ],
)
def test_impossible_values_are_ignored(chunk: tuple[bytes, bytes]) -> None:
    assert_pixel(create_png(P3_RED, chunk), P3_RED)


def create_exif(colour_space: int | None, interoperability: str | None) -> bytes:
    exif = Image.Exif()
    if colour_space is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = colour_space
    if interoperability is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: interoperability}
    return exif.tobytes()


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("colour_space", "interoperability", "expected"),
    [
        (0xFFFF, "R03", (0, 255, 0)),
        (2, None, (0, 255, 0)),
        (0xFFFF, None, (144, 255, 60)),
        (1, "R98", (144, 255, 60)),
    ],
)
def test_adobe_rgb_of_exif_is_converted_to_srgb(
    image_format: str, colour_space: int, interoperability: str | None, expected: Pixel
) -> None:
    output = io.BytesIO()
    exif = create_exif(colour_space, interoperability)
    image = Image.new("RGB", (100, 100), (144, 255, 60))  # sRGB green in Adobe RGB
    image.save(output, image_format, quality=100, exif=exif)
    assert_pixel(output.getvalue(), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("lost", [1, 8, 20, 30, 40, 50])
def test_damaged_exif_is_ignored(lost: int) -> None:
    output = io.BytesIO()
    exif = create_exif(1, "R98")[:-lost]
    Image.new("RGB", (100, 100), P3_RED).save(output, "JPEG", quality=100, exif=exif)
    assert_pixel(output.getvalue(), P3_RED)

"""Normalisation of images: output, cropping, orientation, metadata, and rejection of invalid files."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from services.runtime.outbound import images
from services.runtime.outbound.images import (
    OUTPUT_SIZE_PX,
    AnimatedImage,
    CorruptImage,
    InvalidImage,
    MediaTypeMismatch,
    UnsupportedFormat,
    normalise_image,
)
from tests.users import create_image

FORMATS = ["PNG", "JPEG", "WEBP"]


def open_image(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (640, 480), (1600, 1200)])
def test_output_is_square_webp_and_deterministic(image_format: str, size: tuple[int, int]) -> None:
    data = create_image(image_format, size)
    normalised = normalise_image(data)
    image = open_image(normalised)
    assert (image.format, image.size) == ("WEBP", (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX))
    assert normalised == normalise_image(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_all_pixel_modes_are_supported(mode: str) -> None:
    output = io.BytesIO()
    Image.new(mode, (50, 50)).save(output, "JPEG" if mode == "CMYK" else "PNG")
    assert open_image(normalise_image(output.getvalue())).size == (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX)


def test_sixteen_bit_values_are_scaled() -> None:
    output = io.BytesIO()
    Image.new("I;16", (50, 50), 0x8080).save(output, "PNG")
    pixel = open_image(normalise_image(output.getvalue())).getpixel((200, 200))
    assert isinstance(pixel, tuple)
    assert all(abs(value - 0x80) <= 2 for value in pixel)


@pytest.mark.parametrize("size", [(3000, 1000), (1000, 3000)])
def test_crop_is_centred(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "red")
    left, top = (length // 2 - 500 for length in size)
    image.paste("blue", (left, top, left + 1000, top + 1000))
    output = io.BytesIO()
    image.save(output, "PNG")
    normalised = open_image(normalise_image(output.getvalue()))
    for corner in [(2, 2), (OUTPUT_SIZE_PX - 3, 2), (2, OUTPUT_SIZE_PX - 3), (OUTPUT_SIZE_PX - 3, OUTPUT_SIZE_PX - 3)]:
        pixel = normalised.getpixel(corner)
        assert isinstance(pixel, tuple)
        assert pixel[2] > pixel[0] + 150, corner


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(orientation: int) -> None:
    """Compare an image whose corners differ with Pillow's transposition of the whole image."""
    image = Image.new("RGB", (300, 200), "white")
    image.paste("red", (50, 0, 150, 100))
    image.paste("blue", (150, 0, 250, 100))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    output = io.BytesIO()
    image.save(output, "PNG", exif=exif)
    normalised = open_image(normalise_image(output.getvalue()))
    expected = ImageOps.fit(ImageOps.exif_transpose(open_image(output.getvalue())), (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX))
    for corner in [(100, 100), (300, 100), (100, 300), (300, 300)]:
        pixel, expected_pixel = normalised.getpixel(corner), expected.getpixel(corner)
        assert isinstance(pixel, tuple)
        assert isinstance(expected_pixel, tuple)
        assert all(abs(one - other) < 10 for one, other in zip(pixel, expected_pixel, strict=True)), corner


def test_transparency_is_preserved() -> None:
    output = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(output, "PNG")
    corner = open_image(normalise_image(output.getvalue())).getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert corner[3] == 0


def test_exif_orientation_is_applied_and_metadata_removed() -> None:
    image = Image.new("RGB", (60, 40), "red")
    image.paste("blue", (0, 0, 60, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    exif[0x010F] = "a camera"
    output = io.BytesIO()
    image.save(output, "JPEG", exif=exif, icc_profile=b"a profile", comment=b"a comment")
    normalised = normalise_image(output.getvalue())
    upright = open_image(normalised)
    pixel = upright.getpixel((OUTPUT_SIZE_PX // 2, 10))
    assert isinstance(pixel, tuple)
    assert pixel[0] > pixel[2], "the bottom of the source is at the top"
    assert not {"exif", "icc_profile", "comment", "xmp"} & upright.info.keys()
    for secret in (b"a camera", b"a profile", b"a comment"):
        assert secret not in normalised


def test_trailing_data_is_removed() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("note", "<script>alert(1)</script>")
    output = io.BytesIO()
    Image.new("RGB", (50, 50)).save(output, "PNG", pnginfo=info)
    normalised = normalise_image(output.getvalue() + b"PK\x03\x04<?php system($_GET[0]); ?>")
    assert b"<script>" not in normalised
    assert b"<?php" not in normalised


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_unsupported_formats_are_rejected(image_format: str) -> None:
    with pytest.raises(UnsupportedFormat, match="PNG, JPEG or WebP"):
        normalise_image(create_image(image_format))


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_animated_images_are_rejected(image_format: str) -> None:
    output = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(output, image_format, save_all=True, append_images=frames[1:])
    with pytest.raises(AnimatedImage, match="animated"):
        normalise_image(output.getvalue())


def test_first_frame_of_mpo_is_used() -> None:
    output = io.BytesIO()
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    frames[0].save(output, "MPO", save_all=True, append_images=frames[1:])
    assert open_image(output.getvalue()).format == "MPO"
    pixel = open_image(normalise_image(output.getvalue(), "image/jpeg")).getpixel((9, 9))
    assert isinstance(pixel, tuple)
    assert pixel[0] > pixel[2] + 150


@pytest.mark.parametrize("image_format", FORMATS)
def test_declared_media_type_must_match_format(image_format: str) -> None:
    media_type = f"image/{image_format.lower()}"
    for declared in [*(f"image/{each.lower()}" for each in FORMATS), "image/gif", ""]:
        if declared == media_type:
            assert normalise_image(create_image(image_format), declared)
        else:
            with pytest.raises(MediaTypeMismatch, match=f"is a {image_format} image"):
                normalise_image(create_image(image_format), declared)


@pytest.mark.parametrize("image_format", FORMATS)
def test_truncated_image_is_rejected(image_format: str) -> None:
    data = create_image(image_format)
    with pytest.raises(CorruptImage, match="not a complete"):
        normalise_image(data[: len(data) // 2])


def test_decoder_errors_become_corrupt_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(images, "_check_limits", fail)
    with pytest.raises(CorruptImage):
        normalise_image(create_image())


@given(st.binary(max_size=400))
def test_random_bytes_are_rejected(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        normalise_image(data)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([create_image(image_format, (40, 30)) for image_format in FORMATS]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_damaged_file_is_normalised_or_rejected(data: bytes, changes: list[tuple[float, int]], end: float) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[int(position * (len(damaged) - 1))] = value
    try:
        normalised = normalise_image(bytes(damaged[: max(1, int(len(damaged) * end))]))
    except InvalidImage:
        return
    assert open_image(normalised).size == (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX)


DISPLAY_P3_PRIMARIES = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}
"""Primaries adapted to D50, as in Apple's profile."""


def create_display_p3_profile() -> bytes:
    """Return the sRGB profile of Little CMS with the primaries of Display P3, which has the same tone curve."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (tags,) = struct.unpack_from(">I", profile, 128)
    for index in range(tags):
        signature, offset = struct.unpack_from(">4sI", profile, 132 + 12 * index)
        if signature in DISPLAY_P3_PRIMARIES:
            values = (round(value * 65536) for value in DISPLAY_P3_PRIMARIES[signature])
            struct.pack_into(">3i", profile, offset + 8, *values)
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("image_format", FORMATS)
def test_display_p3_is_converted_to_srgb(image_format: str, mode: str) -> None:
    red = (234, 51, 35, 128) if mode == "RGBA" and image_format != "JPEG" else (234, 51, 35)
    image = Image.new("RGBA" if len(red) == 4 else "RGB", (900, 900), red)
    if mode == "P" and image_format == "PNG":
        image = image.quantize(2)
    output = io.BytesIO()
    image.save(output, image_format, quality=100, icc_profile=create_display_p3_profile())
    pixel = open_image(normalise_image(output.getvalue())).getpixel((200, 200))
    assert isinstance(pixel, tuple)
    assert all(abs(value - expected) <= 6 for value, expected in zip(pixel, (255, 0, 0, *red[3:]), strict=True)), pixel


@pytest.mark.parametrize("mode", ["L", "LA", "CMYK"])
@pytest.mark.parametrize("profile", ["sRGB", "invalid"])
def test_profile_of_other_colour_space_is_ignored(mode: str, profile: str) -> None:
    content = create_display_p3_profile() if profile == "sRGB" else b"invalid" * 30
    images = []
    for icc_profile in (content, None):
        output = io.BytesIO()
        Image.new(mode, (50, 50), 100 if mode == "L" else tuple(range(100, 100 + len(mode)))).save(
            output, "JPEG" if mode == "CMYK" else "PNG", icc_profile=icc_profile
        )
        images.append(normalise_image(output.getvalue()))
    assert images[0] == images[1]


def create_grey_profile(gamma: float) -> bytes:
    """Return an ICC profile (version 2) of a grey scale with this gamma."""
    curve = struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    tags = struct.pack(">I", 2)
    tags += struct.pack(">4sII", b"wtpt", 156, 20) + struct.pack(">4sII", b"kTRC", 176, 14)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x", 192, 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp", 63190, 65536, 54061
    )
    return header + tags + white + curve


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_profile_is_converted_to_srgb(mode: str) -> None:
    value: Any = {"L": 128, "LA": (128, 77), "I;16": 128 * 257}[mode]
    output = io.BytesIO()
    Image.new(mode, (900, 900), value).save(output, "PNG", icc_profile=create_grey_profile(1.0))
    pixel = open_image(normalise_image(output.getvalue())).getpixel((200, 200))
    assert isinstance(pixel, tuple)
    # Linear 0.5 is 188 in sRGB.
    expected = (188, 188, 188, 77) if mode == "LA" else (188, 188, 188)
    assert all(abs(value - other) <= 2 for value, other in zip(pixel, expected, strict=True)), pixel

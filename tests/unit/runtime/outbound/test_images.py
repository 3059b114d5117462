"""Whatever comes in, a small square without anything else comes out, or a refusal."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

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

KINDS = ["PNG", "JPEG", "WEBP"]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (640, 480), (4000, 3000)])
def test_a_square_comes_out(kind: str, size: tuple[int, int]) -> None:
    made = normalise_image(create_image(kind, size))
    image = opened(made)
    assert (image.format, image.size) == ("WEBP", (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX))
    assert made == normalise_image(create_image(kind, size))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (50, 50)).save(out, "JPEG" if mode == "CMYK" else "PNG")
    assert opened(normalise_image(out.getvalue())).size == (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX)


def test_sixteen_bits_are_scaled() -> None:
    out = io.BytesIO()
    Image.new("I;16", (50, 50), 0x8080).save(out, "PNG")
    pixel = opened(normalise_image(out.getvalue())).getpixel((200, 200))
    assert isinstance(pixel, tuple)
    assert all(abs(value - 0x80) <= 2 for value in pixel)


@pytest.mark.parametrize("size", [(3000, 1000), (1000, 3000)])
def test_the_middle_is_kept(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "red")
    left, top = (length // 2 - 500 for length in size)
    image.paste("blue", (left, top, left + 1000, top + 1000))
    out = io.BytesIO()
    image.save(out, "PNG")
    made = opened(normalise_image(out.getvalue()))
    for corner in [(2, 2), (OUTPUT_SIZE_PX - 3, 2), (2, OUTPUT_SIZE_PX - 3), (OUTPUT_SIZE_PX - 3, OUTPUT_SIZE_PX - 3)]:
        pixel = made.getpixel(corner)
        assert isinstance(pixel, tuple)
        assert pixel[2] > pixel[0] + 150, corner


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation(turn: int) -> None:
    """Of a picture whose corners differ, against Pillow's own turning of the whole."""
    image = Image.new("RGB", (300, 200), "white")
    image.paste("red", (50, 0, 150, 100))
    image.paste("blue", (150, 0, 250, 100))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif)
    made = opened(normalise_image(out.getvalue()))
    wanted = ImageOps.fit(ImageOps.exif_transpose(opened(out.getvalue())), (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX))
    for corner in [(100, 100), (300, 100), (100, 300), (300, 300)]:
        have, want = made.getpixel(corner), wanted.getpixel(corner)
        assert isinstance(have, tuple)
        assert isinstance(want, tuple)
        assert all(abs(one - other) < 10 for one, other in zip(have, want, strict=True)), corner


def test_transparency_stays() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(out, "PNG")
    corner = opened(normalise_image(out.getvalue())).getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert corner[3] == 0


def test_it_is_turned_upright_and_loses_what_it_tells() -> None:
    image = Image.new("RGB", (60, 40), "red")
    image.paste("blue", (0, 0, 60, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    exif[0x010F] = "a camera"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, icc_profile=b"a profile", comment=b"a comment")
    made = normalise_image(out.getvalue())
    upright = opened(made)
    pixel = upright.getpixel((OUTPUT_SIZE_PX // 2, 10))
    assert isinstance(pixel, tuple)
    assert pixel[0] > pixel[2], "what was at the bottom is at the top"
    assert not {"exif", "icc_profile", "comment", "xmp"} & upright.info.keys()
    for secret in (b"a camera", b"a profile", b"a comment"):
        assert secret not in made


def test_what_hangs_behind_is_gone() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "<script>alert(1)</script>")
    out = io.BytesIO()
    Image.new("RGB", (50, 50)).save(out, "PNG", pnginfo=text)
    made = normalise_image(out.getvalue() + b"PK\x03\x04<?php system($_GET[0]); ?>")
    assert b"<script>" not in made
    assert b"<?php" not in made


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats(kind: str) -> None:
    with pytest.raises(UnsupportedFormat, match="PNG, JPEG or WebP"):
        normalise_image(create_image(kind))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(AnimatedImage, match="animated"):
        normalise_image(out.getvalue())


def test_of_a_cameras_previews_the_first_frame_is_the_picture() -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:])
    assert opened(out.getvalue()).format == "MPO"
    pixel = opened(normalise_image(out.getvalue(), "image/jpeg")).getpixel((9, 9))
    assert isinstance(pixel, tuple)
    assert pixel[0] > pixel[2] + 150


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_its_sender_says(kind: str) -> None:
    for claimed in [*(f"image/{kind.lower()}" for kind in KINDS), "image/gif", ""]:
        if claimed == f"image/{kind.lower()}":
            assert normalise_image(create_image(kind), claimed)
        else:
            with pytest.raises(MediaTypeMismatch, match=f"is not sent as image/{kind.lower()}"):
                normalise_image(create_image(kind), claimed)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_file(kind: str) -> None:
    data = create_image(kind)
    with pytest.raises(CorruptImage, match="no whole"):
        normalise_image(data[: len(data) // 2])


def test_what_a_decoder_stumbles_over_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(images, "_check_limits", stumble)
    with pytest.raises(CorruptImage):
        normalise_image(create_image())


@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        normalise_image(data)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([create_image(kind, (40, 30)) for kind in KINDS]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_a_damaged_file_is_a_picture_or_refused(data: bytes, changes: list[tuple[float, int]], end: float) -> None:
    damaged = bytearray(data)
    for where, value in changes:
        damaged[int(where * (len(damaged) - 1))] = value
    try:
        made = normalise_image(bytes(damaged[: max(1, int(len(damaged) * end))]))
    except InvalidImage:
        return
    assert opened(made).size == (OUTPUT_SIZE_PX, OUTPUT_SIZE_PX)

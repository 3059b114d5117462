"""Whatever comes in, a small square without anything else comes out, or a refusal."""

import io
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from services.runtime.pictures import MAX_SIDE, SIDE, PictureRefused, normalise
from tests.conftest import ROOT
from tests.people import picture

KINDS = ["PNG", "JPEG", "WEBP"]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (640, 480), (4000, 3000)])
def test_a_square_comes_out(kind: str, size: tuple[int, int]) -> None:
    made = normalise(picture(kind, size))
    image = opened(made)
    assert (image.format, image.size) == ("WEBP", (SIDE, SIDE))
    assert made == normalise(picture(kind, size))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (50, 50)).save(out, "JPEG" if mode == "CMYK" else "PNG")
    assert opened(normalise(out.getvalue())).size == (SIDE, SIDE)


def test_transparency_stays() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(out, "PNG")
    corner = opened(normalise(out.getvalue())).getpixel((0, 0))
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
    made = normalise(out.getvalue())
    upright = opened(made)
    pixel = upright.getpixel((SIDE // 2, 10))
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
    made = normalise(out.getvalue() + b"PK\x03\x04<?php system($_GET[0]); ?>")
    assert b"<script>" not in made
    assert b"<?php" not in made


def header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has no pixels at all."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(10_000, 10_000), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (2**31 - 1, 2**31 - 1), (6000, 6000)]
)
def test_too_many_pixels_are_seen_before_they_are_there(width: int, height: int) -> None:
    with pytest.raises(PictureRefused, match="pixels"):
        normalise(header(width, height))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats(kind: str) -> None:
    with pytest.raises(PictureRefused, match="PNG, JPEG or WebP"):
        normalise(picture(kind))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureRefused, match="animated"):
        normalise(out.getvalue())


@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(PictureRefused):
        normalise(data)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([picture(kind, (40, 30)) for kind in KINDS]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_a_damaged_file_is_a_picture_or_refused(data: bytes, changes: list[tuple[float, int]], end: float) -> None:
    damaged = bytearray(data)
    for where, value in changes:
        damaged[int(where * (len(damaged) - 1))] = value
    try:
        made = normalise(bytes(damaged[: max(1, int(len(damaged) * end))]))
    except PictureRefused:
        return
    assert opened(made).size == (SIDE, SIDE)


BOMB = """
import resource, sys
sys.path.insert(0, {root!r})
from services.runtime.pictures import PictureRefused, normalise
from tests.unit.test_pictures import header
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(5):
    try:
        normalise(header(9_999, 9_999))
    except PictureRefused:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_bomb_takes_no_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOMB.format(root=str(ROOT))], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(done.stdout) < 20_000, "kilobytes"

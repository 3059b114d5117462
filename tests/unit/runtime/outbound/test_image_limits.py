"""What decoding a picture may cost: pixels, passes, memory, and how many at a time."""

import asyncio
import hashlib
import io
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import ExifTags, Image

from services.runtime.outbound import images
from services.runtime.outbound.images import (
    MAX_CONCURRENT,
    MAX_QUEUED,
    MAX_SIDE_PX,
    DecoderOverloaded,
    ImageNormaliser,
    ImageTooLarge,
    MediaTypeMismatch,
    NormalisedImage,
    normalise_image,
)
from tests.conftest import ROOT
from tests.users import create_image


def header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has no pixels at all."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"),
    [(10_000, 10_000), (MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (2**31 - 1, 2**31 - 1), (6000, 6000)],
)
def test_too_many_pixels_are_seen_before_they_are_there(width: int, height: int) -> None:
    with pytest.raises(ImageTooLarge, match="pixels"):
        normalise_image(header(width, height))


def progressive(more: int, behind: bytes = b"") -> bytes:
    """A JPEG whose last pass, over every pixel in a few bytes, is repeated."""
    out = io.BytesIO()
    Image.new("RGB", (800, 800), "orange").save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rfind(b"\xff\xc4", 0, data.rfind(b"\xff\xda"))  # with its Huffman table
    return data[:-2] + data[last:-2] * more + data[-2:] + behind


def test_a_jpeg_of_endless_passes() -> None:
    assert normalise_image(progressive(20))
    with pytest.raises(ImageTooLarge, match="passes"):
        normalise_image(progressive(2000))


def test_a_film_behind_a_jpeg_is_no_pass() -> None:
    assert normalise_image(progressive(0, b"\x00\x00" + b"\xff\xda\x00\x02" * 2000)) == normalise_image(progressive(0))


MEASURE = """
import re, sys
from pathlib import Path
from services.runtime.outbound.images import PictureRefused, normalise
def peak():  # not what getrusage tells, which begins with the peak of the parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
data = sys.stdin.buffer.read()
before = peak()
made = 0
for _ in range(3):
    try:
        made += bool(normalise(data))
    except PictureRefused:
        pass
print(made, peak() - before)
"""


def plain(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    out = io.BytesIO()
    Image.new("RGBA" if kind == "PNG" else "RGB", size).save(out, kind, exif=exif, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("make", "megabytes"),
    [
        pytest.param(lambda: header(9_999, 9_999), 20, id="bomb"),
        pytest.param(lambda: plain("PNG", (5000, 5000)), 160, id="png"),
        pytest.param(lambda: plain("JPEG", (5000, 5000)), 60, id="jpeg"),
        pytest.param(lambda: plain("JPEG", (5000, 5000), progressive=True), 130, id="progressive"),
    ],
)
def test_memory_is_what_one_decoded_picture_takes(make: Callable[[], bytes], megabytes: int) -> None:
    """100 megabytes for 25 megapixels, however often and however turned."""
    done = subprocess.run([sys.executable, "-c", MEASURE], input=make(), capture_output=True, check=True, cwd=ROOT)
    made, kilobytes = map(int, done.stdout.split())
    assert made == (3 if megabytes > 20 else 0)
    assert kilobytes < megabytes * 1024


async def test_pictures_are_decoded_beside_the_event_loop() -> None:
    decoders = ImageNormaliser()
    made = await decoders.normalise(create_image(), "image/png")
    content = normalise_image(create_image())
    assert made == NormalisedImage("image/webp", content, hashlib.sha256(content).hexdigest())
    with pytest.raises(MediaTypeMismatch):
        await decoders.normalise(create_image(), "image/jpeg")
    decoders.close()


@pytest.mark.parametrize("patience", [0.05, 60])
async def test_a_crowd_is_turned_away(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    """At once when every place is taken; after PATIENCE when a decoder does not come to an end."""
    go = threading.Event()

    def stuck(data: bytes, _: str) -> bytes:
        go.wait()
        return data

    monkeypatch.setattr(images, "TIMEOUT_S", patience)
    monkeypatch.setattr(images, "normalise_image", stuck)
    decoders = ImageNormaliser()
    crowd = [asyncio.create_task(decoders.normalise(b"", "image/png")) for _ in range(MAX_CONCURRENT + MAX_QUEUED + 1)]
    done, waiting = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    assert {type(task.exception()) for task in done} == {DecoderOverloaded}
    if patience < 1:
        await asyncio.wait(waiting)
        assert {type(task.exception()) for task in waiting} == {DecoderOverloaded}
    else:
        assert len(done) == 1
    go.set()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert await decoders.normalise(b"free again", "image/png")
    decoders.close()

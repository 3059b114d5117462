"""Limits of image decoding: pixels, JPEG scans, memory and concurrency."""

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


def create_png_header(width: int, height: int) -> bytes:
    """Return a PNG with a size in its header and without pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"),
    [(10_000, 10_000), (MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (2**31 - 1, 2**31 - 1), (6000, 6000)],
)
def test_pixel_limit_is_checked_from_header(width: int, height: int) -> None:
    with pytest.raises(ImageTooLarge, match="pixels"):
        normalise_image(create_png_header(width, height))


def create_progressive_jpeg(extra_scans: int, trailing_data: bytes = b"") -> bytes:
    """Return a JPEG whose last scan, a few bytes for all pixels, is repeated."""
    output = io.BytesIO()
    Image.new("RGB", (800, 800), "orange").save(output, "JPEG", progressive=True)
    data = output.getvalue()
    last_scan = data.rfind(b"\xff\xc4", 0, data.rfind(b"\xff\xda"))  # including its Huffman table
    return data[:-2] + data[last_scan:-2] * extra_scans + data[-2:] + trailing_data


def test_jpeg_with_too_many_scans_is_rejected() -> None:
    assert normalise_image(create_progressive_jpeg(20))
    with pytest.raises(ImageTooLarge, match="scans"):
        normalise_image(create_progressive_jpeg(2000))


def test_data_after_end_of_jpeg_is_not_counted_as_scans() -> None:
    jpeg = create_progressive_jpeg(0, b"\x00\x00" + b"\xff\xda\x00\x02" * 2000)
    assert normalise_image(jpeg) == normalise_image(create_progressive_jpeg(0))


PROGRAM = """
import re, sys
from pathlib import Path
from services.runtime.outbound.images import InvalidImage, normalise_image
def peak():  # getrusage would start with the peak of the parent process
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
data = sys.stdin.buffer.read()
before = peak()
count = 0
for _ in range(2):
    try:
        count += bool(normalise_image(data))
    except InvalidImage:
        pass
print(count, peak() - before)
"""


def create_rotated_image(image_format: str, size: tuple[int, int], **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    output = io.BytesIO()
    Image.new("RGBA" if image_format == "PNG" else "RGB", size).save(output, image_format, exif=exif, **options)
    return output.getvalue()


@pytest.mark.parametrize(
    ("create", "max_megabytes"),
    [
        pytest.param(lambda: create_png_header(9_999, 9_999), 20, id="bomb"),
        pytest.param(lambda: create_rotated_image("PNG", (5000, 5000)), 160, id="png"),
        pytest.param(lambda: create_rotated_image("JPEG", (5000, 5000)), 60, id="jpeg"),
        pytest.param(lambda: create_rotated_image("JPEG", (5000, 5000), progressive=True), 130, id="progressive"),
    ],
)
def test_peak_memory_is_bounded(create: Callable[[], bytes], max_megabytes: int) -> None:
    """25 megapixels take 100 megabytes, regardless of repetition and rotation."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], input=create(), capture_output=True, check=True, cwd=ROOT)
    count, kilobytes = map(int, result.stdout.split())
    assert count == (2 if max_megabytes > 20 else 0)
    assert kilobytes < max_megabytes * 1024


async def test_image_normaliser_returns_image_and_digest() -> None:
    normaliser = ImageNormaliser()
    image = await normaliser.normalise(create_image(), "image/png")
    content = normalise_image(create_image())
    assert image == NormalisedImage("image/webp", content, hashlib.sha256(content).hexdigest())
    with pytest.raises(MediaTypeMismatch):
        await normaliser.normalise(create_image(), "image/jpeg")
    normaliser.close()


@pytest.mark.parametrize("timeout_s", [0.05, 60])
async def test_excess_images_are_rejected(monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> None:
    """Requests are rejected immediately if no slot is free, and after the timeout if the decoder is blocked."""
    released = threading.Event()

    def block(data: bytes, _: str) -> bytes:
        released.wait()
        return data

    monkeypatch.setattr(images, "TIMEOUT_S", timeout_s)
    monkeypatch.setattr(images, "normalise_image", block)
    normaliser = ImageNormaliser()
    count = MAX_CONCURRENT + MAX_QUEUED + 1
    tasks = [asyncio.create_task(normaliser.normalise(b"", "image/png")) for _ in range(count)]
    rejected, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert {type(task.exception()) for task in rejected} == {DecoderOverloaded}
    if timeout_s < 1:
        await asyncio.wait(waiting)
        assert {type(task.exception()) for task in waiting} == {DecoderOverloaded}
    else:
        assert len(rejected) == 1
    released.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await normaliser.normalise(b"data", "image/png")
    normaliser.close()

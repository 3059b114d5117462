"""Limits of image decoding: pixels, JPEG scans and concurrency."""

import asyncio
import hashlib
import io
import threading

import pytest
from PIL import Image

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
from tests.users import create_image, create_png_header


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

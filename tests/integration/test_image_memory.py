"""Peak memory of a process that decodes images."""

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.conftest import ROOT
from tests.users import create_png_header

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

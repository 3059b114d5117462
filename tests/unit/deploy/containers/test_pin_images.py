"""Digests of images: replacement in files, and their resolution by a fake docker."""

import os
import re
from pathlib import Path

import pytest

from deploy.containers import pin_images
from deploy.containers.pin_images import PinError, resolve_digest

OLD, NEW = (f"sha256:{digit * 64}" for digit in "01")


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace docker by a program that prints the new digest, except for the tag `missing`."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$4" in *:missing) echo "not found" >&2; exit 1;; esac\necho "{NEW}"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    resolve_digest.cache_clear()
    return program


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("    image: postgres:18.1", f"    image: postgres:18.1@{NEW}"),
        (f"  image: envoyproxy/envoy:v1.40.0@{OLD}", f"  image: envoyproxy/envoy:v1.40.0@{NEW}"),
        (f"FROM python:3.13.9-slim@{OLD} AS python", f"FROM python:3.13.9-slim@{NEW} AS python"),
        ("FROM python AS packages", "FROM python AS packages"),
        ("  image: delivery/service:1.0.0 # built", "  image: delivery/service:1.0.0 # built"),
        ("# image: postgres:18.1", "# image: postgres:18.1"),
    ],
)
def test_image_with_tag_is_pinned(line: str, pinned: str) -> None:
    assert pin_images.add_digests(f"first\n{line}\nlast\n", resolve_digest) == f"first\n{pinned}\nlast\n"


def test_unresolved_image_changes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pin_images, "ROOT", tmp_path)
    monkeypatch.setattr(pin_images, "FILES", ("first.yml", "second.yml"))
    for name, tag in (("first.yml", "1"), ("second.yml", "missing")):
        (tmp_path / name).write_text(f"image: tool:{tag}\n", encoding="utf-8")
    assert pin_images.main() == 1
    assert re.fullmatch("pin images: no digest for tool:missing;.* not found\n", capsys.readouterr().err)
    assert (tmp_path / "first.yml").read_text(encoding="utf-8") == "image: tool:1\n"
    (tmp_path / "second.yml").write_text("image: tool:2\n", encoding="utf-8")
    assert pin_images.main() == 0
    assert (tmp_path / "second.yml").read_text(encoding="utf-8") == f"image: tool:2@{NEW}\n"


def test_output_without_a_digest_raises_pin_error(docker: Path) -> None:
    docker.write_text("#!/bin/sh\necho unexpected\n", encoding="utf-8")
    with pytest.raises(PinError, match=r"no digest for tool:1;.* unexpected"):
        resolve_digest("tool:1")

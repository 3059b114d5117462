"""`python -m deploy.containers.pin_images`: pin the images of the Dockerfile, Compose and the local overlay by digest.

The digest of a tag is that of its image index at the registry, which covers all platforms. Docker reads it with buildx.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache

from deploy.local.mesh_config import ROOT

FILES = ("docker-compose.yml", "deploy/containers/Dockerfile", "deploy/kubernetes/local/servers/servers.yaml")

IMAGE_PATTERN = re.compile(
    r"(?m)^(?P<start>FROM |\s*image: )(?P<reference>(?!delivery/)[\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?(?=\s|$)"
)
"""Reference with a tag. The images of this repository are built from it and have no digest."""

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


class PinError(Exception):
    """The registry returned no digest for an image."""


@cache
def resolve_digest(reference: str) -> str:
    """Return the digest of an image reference at its registry. Raises PinError."""
    command = ["docker", "buildx", "imagetools", "inspect", reference, "--format", "{{.Manifest.Digest}}"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    digest = result.stdout.strip()
    if result.returncode or not DIGEST_PATTERN.fullmatch(digest):
        cause = (result.stderr.strip() or digest).partition("\n")[0]
        raise PinError(f"no digest for {reference}; Docker with buildx and the registry are needed: {cause}")
    return digest


def add_digests(text: str, resolve: Callable[[str], str]) -> str:
    """Return the text of a file with each image pinned by the digest that `resolve` returns for its tag."""
    return IMAGE_PATTERN.sub(lambda match: f"{match['start']}{match['reference']}@{resolve(match['reference'])}", text)


def main() -> int:
    """Write the digests. Return 1, without a change, if an image cannot be resolved; else 0."""
    paths = [ROOT / name for name in FILES]
    try:
        pinned = [add_digests(path.read_text(encoding="utf-8"), resolve_digest) for path in paths]
    except PinError as error:
        print(f"pin images: {error}", file=sys.stderr)
        return 1
    for path, text in zip(paths, pinned, strict=True):
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The mesh of the library, which docs/own-contracts.md generates and starts."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import jwt
import pytest

from tests.docs.conftest import PORT_OFFSET, DocRun, run_page
from tests.wait import wait_until

METRICS_URL = f"http://127.0.0.1:{15023 + PORT_OFFSET}/metrics"
"""Metrics of the loans service at its probe listener."""

PROJECT_ID = "library-local"
START_TIMEOUT_S = 15.0
"""Time within which the sidecars consider the services healthy, in seconds."""


@dataclass(frozen=True)
class Library:
    """The running mesh."""

    doc_run: DocRun

    def create_token(self, reader: str, role: str | None = "reader") -> str:
        """Return an access token, signed with the key of the sandbox's identity provider."""
        key = (self.doc_run.root / ".local/secrets/sandbox-signing-key.pem").read_text(encoding="utf-8")
        now = int(time.time())
        claims = {"iss": f"https://securetoken.google.com/{PROJECT_ID}", "aud": PROJECT_ID, "sub": reader}
        return jwt.encode(claims | {"role": role, "iat": now, "exp": now + 600}, key, "RS256")

    def build_headers(self, reader: str = "ada", role: str | None = "reader") -> dict[str, str]:
        """Return the header with a reader's token."""
        return {"authorization": f"Bearer {self.create_token(reader, role)}"}

    def run(self, *command: str) -> str:
        """Run a module of the copy and return its output. Raises AssertionError with the output if it fails."""
        result = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.doc_run.root,
            env=self.doc_run.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            encoding="utf-8",
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}"
        return result.stdout


@pytest.fixture(scope="session")
def library() -> Iterator[Library]:
    """Run the page, and wait until the gateway reaches the services."""
    with run_page("own-contracts.md", {"${EDGE_PORT:-8080}": str(8080 + PORT_OFFSET)}) as doc_run:
        library = Library(doc_run)
        url, headers = f"{doc_run.edge_url}/api/v1/loans/none", library.build_headers()
        wait_until(
            lambda: httpx.get(url, headers=headers, trust_env=False).status_code == 404,
            START_TIMEOUT_S,
            description="the gateway reaches loans",
        )
        yield library


@pytest.fixture(scope="session")
def edge(library: Library) -> Iterator[httpx.Client]:
    """Return an HTTP client of the library's API without a token."""
    with httpx.Client(base_url=f"{library.doc_run.edge_url}/api/v1", timeout=20, trust_env=False) as client:
        yield client

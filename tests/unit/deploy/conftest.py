"""Temporary folders of the tests of deployment code."""

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Place the socket folders of meshes with long paths in a folder that is removed after the tests."""
    tmp_path_factory.getbasetemp()  # pytest's own folder is not below it, since it outlives the tests
    with tempfile.TemporaryDirectory(prefix="delivery-tests-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        yield

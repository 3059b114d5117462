"""Contracts of the repository, parsed once per session; most tests use smaller ones from sample_contracts.py."""

import pytest

from codegen.contracts import Contracts, load
from tests.conftest import ROOT


@pytest.fixture(scope="session")
def repository_contracts() -> Contracts:
    return load(ROOT)

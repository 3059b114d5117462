"""Names that a new service may have."""

from pathlib import Path

import pytest

from codegen.scaffold.service_names import find_name_error
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "'' is not a name of a service: use"),
        ("Loyalty", "'Loyalty' is not a name of a service: use"),
        ("order-items", "'order-items' is not a name of a service: use"),
        ("../x", "'../x' is not a name of a service: use"),
        ("x" * 21, f"'{'x' * 21}' is not a name of a service: use"),
        ("orders", "the service orders exists: choose another name, or remove it"),
        ("class", "class is a name of Python"),
        ("filter", "filter is a name of Python"),
        ("user", "user is reserved"),
        ("edge", "edge is reserved"),
        ("sandbox", "sandbox is reserved"),
        ("template1", "template1 is reserved"),
        ("banks", "banks is a tag of api-specs/openapi/delivery.yaml"),
        ("devices", "/users/me/devices is a path of api-specs/openapi/delivery.yaml"),
    ],
)
def test_invalid_name_is_rejected_in_one_sentence(name: str, message: str) -> None:
    error = find_name_error(name, ROOT)
    assert error is not None
    assert error.startswith(message)
    assert "\n" not in error


@pytest.mark.parametrize("name", ["sampleone", "crm2"])
def test_other_name_is_valid(name: str) -> None:
    assert find_name_error(name, ROOT) is None


def test_existing_module_is_an_error(tmp_path: Path) -> None:
    for file in ("envoy/mesh.yaml", "api-specs/openapi/delivery.yaml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).symlink_to(ROOT / file)
    (tmp_path / "services/sampleone/__pycache__").mkdir(parents=True)
    assert find_name_error("sampleone", tmp_path) is None
    (tmp_path / "services/sampleone/app.py").touch()
    assert find_name_error("sampleone", tmp_path) == "services/sampleone exists: remove it, or choose another name"

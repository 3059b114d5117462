"""Endpoint of the object storage client."""

import pytest

from services.runtime.storage.object_storage import EMULATOR_VARIABLE, ObjectStore


def test_emulator_environment_variable_does_not_override_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMULATOR_VARIABLE, "http://127.0.0.1:4443")
    with pytest.raises(ValueError, match=EMULATOR_VARIABLE):
        ObjectStore("b")
    object_store = ObjectStore("b", "http://127.0.0.1:4444")
    assert object_store._client.api_endpoint == "http://127.0.0.1:4444"
    object_store.close()

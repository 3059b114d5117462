"""Where pictures go is what the settings say, and in production that is Google."""

import pytest

from services.runtime.storage.object_storage import EMULATOR_VARIABLE, ObjectStore


def test_the_sdk_does_not_go_elsewhere_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMULATOR_VARIABLE, "http://127.0.0.1:4443")
    with pytest.raises(ValueError, match=EMULATOR_VARIABLE):
        ObjectStore("b")
    objects = ObjectStore("b", "http://127.0.0.1:4444")
    assert objects._client.api_endpoint == "http://127.0.0.1:4444"
    objects.close()

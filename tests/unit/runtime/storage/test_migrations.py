"""Schema migrations in a folder whose path contains characters that configuration files interpolate."""

import shutil
from pathlib import Path

import pytest

from services.runtime.storage import migrations


def test_path_with_percent_sign_is_not_interpolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "100% of %(here)s"
    shutil.copytree(migrations.SCRIPTS_DIR, folder)
    monkeypatch.setattr(migrations, "SCRIPTS_DIR", folder)
    assert [revision for revision, _ in migrations.iter_revision_sql("partners")]

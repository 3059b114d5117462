"""Commands as a user without root, also where root runs the tests."""

import os
import shutil

_NAMESPACE_COMMAND = (shutil.which("unshare") or "unshare", "--user", "--map-user=1000", "--map-group=1000", "--")

UNPRIVILEGED_PREFIX = _NAMESPACE_COMMAND if os.geteuid() == 0 else ()
"""Prefix of a command whose user has no capabilities. Root's command runs as the owner of the files of root."""

"""Patroni with a lease of less than 20 seconds, run by the interpreter of Patroni's environment.

Patroni raises the time to live of the lease to 20 seconds at least. A configuration that fulfils Patroni's own rule,
`loop_wait + 2 * retry_timeout <= ttl`, is used unchanged: the leader demotes itself before its lease expires.
"""

import sys
from typing import Any

from patroni.__main__ import main  # type: ignore[import-not-found]
from patroni.config import Config  # type: ignore[import-not-found]

adjust_timeouts = Config._validate_and_adjust_timeouts


def validate_timeouts(config: Any, values: dict[str, Any]) -> None:
    """Let Patroni adjust the values if one is missing, or if they violate the rule."""
    names = ("loop_wait", "retry_timeout", "ttl")
    if any(name not in values for name in names):
        adjust_timeouts(config, values)
        return
    loop_wait, retry_timeout, ttl = (int(values[name]) for name in names)
    if loop_wait + 2 * retry_timeout > ttl:
        adjust_timeouts(config, values)


if __name__ == "__main__":
    Config._validate_and_adjust_timeouts = validate_timeouts
    sys.exit(main())

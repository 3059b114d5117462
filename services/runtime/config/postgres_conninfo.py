"""Connection parameters of PostgreSQL, which make a client follow a failover to another host."""

from collections.abc import Mapping

from psycopg.conninfo import conninfo_to_dict, make_conninfo

DEFAULTS: Mapping[str, str | int] = {
    # A standby also accepts connections, but rejects writes.
    "target_session_attrs": "read-write",
    "connect_timeout": 2,
    # Without these, the loss of an unreachable server would not be detected for hours.
    "tcp_user_timeout": 5000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Parameters that the URL may override. The connection timeout, in seconds, applies to each host."""


def build_conninfo(url: str) -> str:
    """Return the connection string of a URL, with the defaults of the parameters that the URL does not contain."""
    given = conninfo_to_dict(url)
    return make_conninfo(url, **{name: value for name, value in DEFAULTS.items() if name not in given})

"""Connection parameters of PostgreSQL clients."""

from psycopg.conninfo import conninfo_to_dict

from services.runtime.config.postgres_conninfo import build_conninfo

URL = "postgresql://app:secret@one.test:5432,two.test:6432/app"


def test_client_connects_to_the_primary_and_detects_a_lost_server() -> None:
    parameters = conninfo_to_dict(build_conninfo(URL))
    assert (parameters["host"], parameters["port"]) == ("one.test,two.test", "5432,6432")
    assert (parameters["user"], parameters["password"], parameters["dbname"]) == ("app", "secret", "app")
    assert parameters["target_session_attrs"] == "read-write"
    for name in ("connect_timeout", "tcp_user_timeout", "keepalives_idle"):
        assert int(parameters[name]) > 0


def test_parameters_of_the_url_have_precedence() -> None:
    parameters = conninfo_to_dict(build_conninfo(f"{URL}?target_session_attrs=any&connect_timeout=9"))
    assert (parameters["target_session_attrs"], parameters["connect_timeout"]) == ("any", "9")

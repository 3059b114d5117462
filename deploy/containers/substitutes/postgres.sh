# Entry point of the PostgreSQL substitute: the part of the official image's entry point that docker-compose.yml needs.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 --no-locale >/dev/null
    rm /tmp/password
    for file in /docker-entrypoint-initdb.d/*.sql; do
        postgres --single -D "$PGDATA" postgres <"$file" >/dev/null
    done
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp

#!/bin/sh
# Sets up what must be there before anything of ours can run: uv, the virtual environment, Debian's packages.
# Quick and silent when there is nothing to do. `setup.sh browser prometheus containers bench` adds what tests of each need.
set -eu
cd "$(dirname "$0")/../.."
state=.local/setup
mkdir -p "$state"

fail() { echo "setup: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else fail "installing Debian packages ($*) needs root or sudo."
    fi
}

# Installs Debian packages without letting them start services of their own; our children run on private ports.
install_packages() {
    command -v apt-get >/dev/null 2>&1 || fail "these packages are missing, and there is no apt-get to install them: $*"
    echo "setup: installing $*" >&2
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 130' INT TERM
    fi
    log="$state/apt.log"
    { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } \
        >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "apt-get could not install $*; the whole log is in $log."; }
}

find_python() {
    for candidate in python3.13 python3 python "${HOME:-/nonexistent}"/.pyenv/versions/3.13*/bin/python3.13; do
        if found=$(command -v "$candidate" 2>/dev/null) && [ "$("$found" -c 'import sys; print(sys.version_info[:2] == (3, 13))' 2>/dev/null)" = True ]; then
            echo "$found"
            return
        fi
    done
    fail "Python 3.13 is missing; install it and run this again."
}

find_uv() {
    if command -v uv >/dev/null 2>&1; then echo uv; return; fi
    if [ ! -x .local/uv/bin/uv ]; then
        echo "setup: getting uv" >&2
        rm -rf .local/uv
        "$1" -m venv .local/uv >/dev/null 2>&1 || { install_packages python3-venv && "$1" -m venv .local/uv; } \
            || fail "Python's venv module is missing; install it and run this again."
        .local/uv/bin/pip install -qq --disable-pip-version-check uv || fail "uv could not be installed by pip."
    fi
    echo .local/uv/bin/uv
}

# Everything is compiled right away: else each of the many processes of a mesh would do it, where Python may not write
# what it compiled. This file is part of what is wanted, so that it is carried out again when it changes.
wanted=$(cat .python-version requirements/dev.txt deploy/local/setup.sh | sha256sum)
if [ "$(cat "$state/venv" 2>/dev/null)" != "$wanted" ] || [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    uv=$(find_uv "$python")
    echo "setup: making the virtual environment" >&2
    [ -x .venv/bin/python ] || "$uv" venv -q --python "$python" .venv
    "$uv" pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt || fail "the Python packages could not be installed."
    printf '%s' "$wanted" >"$state/venv"
fi

wanted=$(sha256sum package-lock.json)
if [ "$(cat "$state/node" 2>/dev/null)" != "$wanted" ] || [ ! -d node_modules ]; then
    command -v npm >/dev/null 2>&1 || fail "Node with npm is missing; install it and run this again."
    echo "setup: getting Node packages" >&2
    npm ci --silent --no-audit --no-fund --omit-lockfile-registry-resolved >"$state/npm.log" 2>&1 \
        || { tail -n 20 "$state/npm.log" >&2; fail "the Node packages could not be installed."; }
    printf '%s' "$wanted" >"$state/node"
fi

wants() { case " $words " in *" $1 "*) ;; *) return 1 ;; esac; }
words="$*"

# Prometheus' own programs, unpacked beside everything else of ours: tests only run them, nothing is installed.
if wants prometheus && ! command -v promtool >/dev/null 2>&1 && [ ! -x .local/prometheus/usr/bin/promtool ]; then
    command -v apt-get >/dev/null 2>&1 || fail "Prometheus is missing, and there is no apt-get to get it."
    echo "setup: getting Prometheus" >&2
    rm -rf .local/prometheus
    mkdir -p .local/prometheus
    log="$PWD/$state/prometheus.log"
    fetch() { (cd .local/prometheus && apt-get download -q prometheus >"$log" 2>&1); }
    fetch || { as_root apt-get update -q >>"$log" 2>&1 && fetch; } || { tail -n 20 "$log" >&2; fail "apt-get could not get Prometheus."; }
    dpkg -x .local/prometheus/prometheus_*.deb .local/prometheus
    rm .local/prometheus/prometheus_*.deb
fi

missing=
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$missing rabbitmq-server"
command -v memcached >/dev/null 2>&1 || missing="$missing memcached"
! wants browser || command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
! wants bench || command -v wrk >/dev/null 2>&1 || missing="$missing wrk"
if wants containers; then
    for program in podman runc debootstrap iptables; do
        command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || missing="$missing $program"
    done
    for program in podman/netavark podman/aardvark-dns; do
        [ -x "/usr/lib/$program" ] || missing="$missing ${program#podman/}"
    done
    [ -x /usr/bin/catatonit ] || [ -x /usr/libexec/podman/catatonit ] || missing="$missing catatonit"
fi
# shellcheck disable=SC2086
[ -z "$missing" ] || install_packages $missing

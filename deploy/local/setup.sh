#!/bin/sh
# Installs the prerequisites: uv, the virtual environment, Node packages and Debian packages.
# Prints nothing if all are installed. `setup.sh browser prometheus containers bench java` adds the prerequisites of these tests,
# `setup.sh checkov` those of the check of the manifests, `setup.sh client-generators mock` those of the Python clients and the mock, and
# `setup.sh cluster` those of the cluster on one host, and `setup.sh backup` those of backups.
# PYTHON selects the interpreter of the virtual environment. Without it, that of an existing environment remains.
set -eu
cd "$(dirname "$0")/../.."
state=.local/setup
mkdir -p "$state"
unset PYTHONHOME PYTHONPATH PYTHONOPTIMIZE PYTHONWARNINGS NODE_OPTIONS NODE_PATH
export LC_ALL=C.UTF-8 PYTHONUTF8=1

fail() { echo "setup: $*" >&2; exit 1; }

# One set-up runs at a time; the next one finds everything installed.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$state/lock"
    flock -n 9 || { echo "setup: waiting for another set-up" >&2; flock 9; }
fi

# The caches of packages are below .local if the home folder is missing or read-only.
for folder in "${HOME:-/nonexistent}" "${HOME:-}/.cache" "${HOME:-}/.npm"; do
    if [ -e "$folder" ] && [ -w "$folder" ] || { [ ! -e "$folder" ] && [ "$folder" != "${HOME:-/nonexistent}" ]; }; then continue; fi
    export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.local/cache/uv}" PIP_CACHE_DIR="${PIP_CACHE_DIR:-$PWD/.local/cache/pip}" \
        npm_config_cache="${npm_config_cache:-$PWD/.local/cache/npm}"
done

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else fail "installing Debian packages ($*) needs root or sudo."
    fi
}

# Installs Debian packages without starting their services: the local runner starts its own servers on private ports.
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
        >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "apt-get could not install $*; the full log is $log."; }
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
        echo "setup: installing uv" >&2
        rm -rf .local/uv
        "$1" -m venv .local/uv >/dev/null 2>&1 || { install_packages python3-venv && "$1" -m venv .local/uv; } \
            || fail "Python's venv module is missing; install it and run this again."
        .local/uv/bin/pip install -qq --disable-pip-version-check uv || fail "pip could not install uv."
    fi
    echo .local/uv/bin/uv
}

# An installation into a link would change or delete the packages of another checkout.
replace_link() {
    if [ -L "$1" ]; then
        echo "setup: replacing the link $1 by a folder" >&2
        rm "$1"
    fi
}

# Prints the path and the version of an interpreter on two lines, those of the base interpreter for a virtual environment.
# Fails if it is not Python 3.13.
describe_interpreter() {
    "$1" -I -S -c 'import os, sys
if sys.version_info[:2] != (3, 13):
    sys.exit(1)
print(os.path.realpath(sys.executable), sys.version, sep="\n")' 2>/dev/null
}

selected=
if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null 2>&1 || fail "PYTHON=$PYTHON is missing; set PYTHON to an interpreter of Python 3.13."
    selected=$(describe_interpreter "$PYTHON") || fail "PYTHON=$PYTHON is not an interpreter of Python 3.13."
fi
present=$(describe_interpreter .venv/bin/python || true)

# Prints the checksum of the installation by an interpreter. This script is part of it, so that a change of the script
# repeats the installation.
compute_checksum() { { cat .python-version requirements/dev.txt deploy/local/setup.sh; printf '%s' "$1"; } | sha256sum; }

# Compiles to bytecode at installation: otherwise every process of a mesh would compile again where Python may not write
# bytecode files.
if [ "$(cat "$state/venv" 2>/dev/null)" != "$(compute_checksum "${selected:-$present}")" ] || [ ! -x .venv/bin/python ]; then
    replace_link .venv
    python=${selected%%"
"*}
    [ -n "$python" ] || python=$(find_python)
    uv=$(find_uv "$python")
    echo "setup: creating the virtual environment" >&2
    [ -z "$selected" ] || [ "$selected" = "$present" ] || rm -rf .venv
    [ -x .venv/bin/python ] || "$uv" venv -q --python "$python" .venv
    "$uv" pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt || fail "the Python packages could not be installed."
    compute_checksum "${selected:-$(describe_interpreter .venv/bin/python || true)}" >"$state/venv"
fi

# Installs the packages of a lock file, whose name is $2, in a folder.
install_node_packages() {
    checksum=$(cd "$1" && sha256sum package-lock.json)
    if [ "$(cat "$state/$2" 2>/dev/null)" = "$checksum" ] && [ -d "$1/node_modules" ]; then return; fi
    command -v npm >/dev/null 2>&1 || fail "Node with npm is missing; install it and run this again."
    case "$(node --version)" in # Vite needs these versions; npm accepts all
        v20.19.* | v20.[2-9][0-9].* | v22.1[2-9].* | v22.[2-9][0-9].* | v2[3-9].* | v[3-9][0-9].*) ;;
        *) fail "Node 20.19 or a later 20, or 22.12 or later, is needed instead of $(node --version); install it and run this again." ;;
    esac
    echo "setup: installing Node packages" >&2
    replace_link "$1/node_modules"
    log="$PWD/$state/npm.log"
    (cd "$1" && npm ci --silent --no-audit --no-fund --ignore-scripts --omit-lockfile-registry-resolved >"$log" 2>&1) \
        || { tail -n 20 "$log" >&2; fail "the Node packages could not be installed."; }
    printf '%s' "$checksum" >"$state/$2"
}
install_node_packages . node

requested() { case " $features " in *" $1 "*) ;; *) return 1 ;; esac; }
features="$*"

# Installs a requirements file in an environment of its own, since its pins differ from those of the project.
install_environment() {
    checksum=$(cat .python-version "requirements/$1.txt" | sha256sum)
    if [ "$(cat "$state/$1" 2>/dev/null)" = "$checksum" ] && [ -x ".local/$1/bin/python" ]; then return; fi
    uv=$(find_uv .venv/bin/python)
    echo "setup: installing $1" >&2
    [ -x ".local/$1/bin/python" ] || "$uv" venv -q --python .venv/bin/python ".local/$1"
    "$uv" pip sync -q --compile-bytecode --python ".local/$1/bin/python" --require-hashes "requirements/$1.txt" || fail "$1 could not be installed."
    printf '%s' "$checksum" >"$state/$1"
}
! requested checkov || install_environment checkov
! requested client-generators || install_environment client-generators
! requested cluster || install_environment patroni
! requested backup || install_environment backup

if requested mock; then
    mkdir -p .local/mock
    cp deploy/mock/package.json deploy/mock/package-lock.json .local/mock/
    install_node_packages .local/mock mock
fi

# Prometheus is unpacked below .local and not installed, since tests only run its programs.
if requested prometheus && ! command -v promtool >/dev/null 2>&1 && [ ! -x .local/prometheus/usr/bin/promtool ]; then
    command -v apt-get >/dev/null 2>&1 || fail "Prometheus is missing, and there is no apt-get to download it."
    echo "setup: downloading Prometheus" >&2
    rm -rf .local/prometheus
    mkdir -p .local/prometheus
    log="$PWD/$state/prometheus.log"
    fetch() { (cd .local/prometheus && apt-get download -q prometheus >"$log" 2>&1); }
    fetch || { as_root apt-get update -q >>"$log" 2>&1 && fetch; } || { tail -n 20 "$log" >&2; fail "apt-get could not download Prometheus."; }
    dpkg -x .local/prometheus/prometheus_*.deb .local/prometheus
    rm .local/prometheus/prometheus_*.deb
fi

# Returns whether a shared library is installed.
has_library() {
    for path in /usr/lib/*/"$1" /usr/lib/"$1" /usr/lib64/"$1"; do
        if [ -e "$path" ]; then return; fi
    done
    return 1
}

missing=
has_library libcurl.so.4 || missing="$missing libcurl4" # of mongod
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$missing rabbitmq-server"
command -v memcached >/dev/null 2>&1 || missing="$missing memcached"
! requested browser || command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
! requested bench || command -v wrk >/dev/null 2>&1 || missing="$missing wrk"
! requested java || command -v javac >/dev/null 2>&1 || missing="$missing default-jdk-headless"
! requested java || [ -e /usr/share/java/httpmime.jar ] || missing="$missing libhttpmime-java"
if requested containers; then
    for program in podman runc debootstrap iptables; do
        command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || missing="$missing $program"
    done
    for program in podman/netavark podman/aardvark-dns; do
        [ -x "/usr/lib/$program" ] || missing="$missing ${program#podman/}"
    done
    command -v ip >/dev/null 2>&1 || [ -x /usr/sbin/ip ] || missing="$missing iproute2"
    command -v dockerd >/dev/null 2>&1 || [ -x /usr/sbin/dockerd ] || docker version >/dev/null 2>&1 || missing="$missing docker.io"
    [ -x /usr/bin/catatonit ] || [ -x /usr/libexec/podman/catatonit ] || missing="$missing catatonit"
fi
if requested cluster; then
    command -v etcd >/dev/null 2>&1 || missing="$missing etcd-server"
    command -v ip >/dev/null 2>&1 || [ -x /usr/sbin/ip ] || missing="$missing iproute2"
    has_library faketime/libfaketimeMT.so.1 || missing="$missing libfaketime"
fi
# shellcheck disable=SC2086
[ -z "$missing" ] || install_packages $missing

# shellcheck shell=bash
# Sourced by ./demo and ./test: from a bare Debian or Ubuntu to a ready .venv, and quickly back when it is ready already.
#
#   bootstrap COMMAND...   the programs that the caller wants beside Python; a missing one is installed when we are
#                          root, and named with the command that installs it when we are not.
#
# Writes inside the checkout only (.venv holds the log and the stamp too); Debian packages are the one exception.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
log=$venv/bootstrap.log
# haproxy, keepalived and nft live there, and FRR's programs in a directory of their own; a PATH often lacks them.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/frr
export PATH

# Which Debian package brings a program.
package_of() {
    case $1 in
        haproxy | keepalived | curl) echo "$1" ;;
        ip) echo iproute2 ;;
        nft) echo nftables ;;
        vrrpd) echo frr ;;
        linux.uml) echo user-mode-linux ;;
        modprobe) echo kmod ;;
        *) die "no package is known for $1" ;;
    esac
}

say() { printf 'firstmate: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 69
}

bootstrap() {
    install_programs "$@"
    if ! is_ready; then
        (
            command -v flock >/dev/null && flock 9 # two runs at once: the second waits, and finds all done
            is_ready || prepare
        ) 9<"$root/uv.lock"
    fi
    export MPLCONFIGDIR=$venv/matplotlib # or matplotlib writes its font list into the home directory
    python=$venv/bin/python
}

# What the environment depends on: the locked packages, the place of the checkout, the Python under it.
stamp_now() {
    {
        cat "$root/uv.lock" "$root/pyproject.toml" "$root/.ci/bootstrap.sh"
        printf '%s\n' "$root"
        "$venv/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null || true
    } | sha256sum | cut -d ' ' -f 1
}

is_ready() { [ "$(cat "$venv/stamp" 2>/dev/null)" = "$(stamp_now)" ]; }

prepare() {
    say "preparing .venv (once; about a minute with a fresh clone)"
    make_venv
    : >"$log"
    install_uv
    install_locked
    stamp_now >"$venv/stamp"
}

make_venv() {
    if "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        return
    fi
    local candidate base=
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            base=$candidate
            break
        fi
    done
    [ -n "$base" ] || die "Python 3.11 or newer is needed, and python3 here is $(python3 --version 2>&1 || true)"
    if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3-venv || die "python3 cannot make virtual environments: sudo apt-get install python3-venv"
    fi
    "$base" -m venv --clear "$venv" || die "python3 -m venv failed; it says why above"
}

# pip's settings (index, certificates, proxy) apply; the version and its hashes come from uv.lock.
install_uv() {
    local wanted
    wanted=$("$venv/bin/python" - "$root/uv.lock" "$venv/uv.txt" <<'PYTHON'
import sys
import tomllib
from pathlib import Path

locked = next(p for p in tomllib.loads(Path(sys.argv[1]).read_text())["package"] if p["name"] == "uv")
hashes = " ".join("--hash=" + wheel["hash"] for wheel in locked["wheels"])
Path(sys.argv[2]).write_text(f"uv=={locked['version']} {hashes}\n")
print(locked["version"])
PYTHON
    )
    case $("$venv/bin/uv" --version 2>/dev/null) in "uv $wanted" | "uv $wanted "*) return ;; esac
    PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=${PIP_NO_CACHE_DIR:-1} logged \
        "$venv/bin/python" -m pip install --quiet --no-deps --require-hashes --only-binary=:all: -r "$venv/uv.txt"
}

# Exported and installed rather than synced: the lock names its files by the public index's addresses,
# which a site with a mirror of its own cannot reach. The hashes of the lock are demanded either way.
install_locked() {
    local index
    index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}}
    (
        [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
        [ -n "${UV_CACHE_DIR:-}" ] || export UV_NO_CACHE=1
        export TMPDIR=$venv/tmp # uv leaves lock files in it
        mkdir -p "$TMPDIR"
        export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_PROJECT_ENVIRONMENT=$venv
        unset VIRTUAL_ENV PYTHONPATH
        cd "$root"
        logged "$venv/bin/uv" export --quiet --frozen --all-extras --no-emit-project --output-file "$venv/locked.txt"
        logged "$venv/bin/uv" pip install --python "$venv/bin/python" --require-hashes -r "$venv/locked.txt"
        logged "$venv/bin/uv" pip install --python "$venv/bin/python" --no-deps --no-build-isolation --offline -e .
    )
}

# Run a step quietly; show what it said when it fails.
logged() {
    "$@" >>"$log" 2>&1 </dev/null || {
        tail -n 25 "$log" >&2
        die "this failed: $* (the whole log: $log)"
    }
}

install_programs() {
    local program
    local -a programs=() packages=()
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        programs+=("$program")
        packages+=("$(package_of "$program")")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    install_packages "${packages[@]}" && return
    # One that this release has not must not keep the others away.
    local -a missing=()
    local place
    for place in "${!programs[@]}"; do
        [ ${#packages[@]} -gt 1 ] && install_packages "${packages[$place]}" && continue
        missing+=("$place")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    programs=($(for place in "${missing[@]}"; do echo "${programs[$place]}"; done))
    packages=($(for place in "${missing[@]}"; do echo "${packages[$place]}"; done))
    say "missing: ${programs[*]}. What needs them is left out; to have it all: sudo apt-get install ${packages[*]}"
}

# Debian starts a service as soon as it is installed. We want the programs, not the services.
install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing Debian packages: $*"
    (
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            trap 'exit 130' INT TERM
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        if ! apt_install "$@" >/dev/null 2>&1; then
            apt-get -qq -o DPkg::Lock::Timeout=120 update </dev/null >&2 || true
            apt_install "$@" >&2
        fi
    ) || return 1
    if [ -d /run/systemd/system ]; then
        local unit
        for unit in haproxy keepalived frr nftables; do
            case " $* " in *" $unit "*) systemctl --quiet disable "$unit" >/dev/null 2>&1 || true ;; esac
        done
    fi
}

apt_install() {
    apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 install "$@" </dev/null
}

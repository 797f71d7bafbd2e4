#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Usage: tests/fresh/run.sh [DEBIAN ...]     (as root; default: 12 13; called by `make test-fresh`)
# A new machine, from nothing: a minimal Debian made by debootstrap that holds only what README presumes (git, make,
# python3; sudo for a user who is not root), an empty HOME, no pip cache. In it, as root and as a user with sudo: clone,
# `make run` with a quick spec, `make sim`, and a smoke selection of the tests (tests/fresh/inside.sh).
# Mirror, certificates and package indices are those that this machine's apt and pip are set up with.
# The commit that is tested is the one at the start; later commits do not change it.
# FRESH_RECORD=1: keep in benchmarks/figures.json which of them passed.
# FRESH_DIR: where the systems are made (default: a temporary folder; 4 GB each, 14 GB where PyTorch brings CUDA).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(git -C "$here" rev-parse --show-toplevel)
work=${FRESH_DIR:-$(mktemp -d /var/tmp/nba-fresh.XXXXXX)}
mkdir -p "$work"
[ -n "${FRESH_DIR:-}" ] || trap 'rm -rf --one-file-system "$work"' EXIT

say() { echo "fresh: $*" >&2; }
die() { say "$*"; exit 1; }
[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"
command -v debootstrap >/dev/null || die "debootstrap: not found; install it with: apt-get install debootstrap"
[ -z "${FRESH_RECORD:-}" ] || [ -x "$top/.venv/bin/python" ] || die "FRESH_RECORD=1 needs .venv; run make setup first"
[ -z "$(git -C "$top" status --porcelain)" ] || say "uncommitted changes are not part of the clone that is tested"

commit=$(git -C "$top" rev-parse --short=12 HEAD)
declare -A codename=([12]=bookworm [13]=trixie)
mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
  awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }')
[ -n "$mirror" ] || die "apt knows no Debian mirror; run apt-get update, or correct its sources"

# Options of this machine's pip, as a pip.conf; folders that they name are needed inside too.
pip_conf() {
  echo "[global]"
  python3 -m pip config list | sed -nE "s/^(global|:env:)\.(cert|constraint|default-timeout|extra-index-url|find-links|index-url|proxy|trusted-host)='(.*)'$/\2 = \3/p" |
    sed 's/\\n/ /g' | awk '!seen[$1]++'
}
pip_paths() { pip_conf | grep -oE '(file://)?/[^ ]+' | sed 's#^file://##; s#/simple/*$##' | sort -u; }

make_system() { # DEBIAN FOLDER
  say "Debian $1: making a minimal system"
  debootstrap --variant=minbase --include=git,make,python3,sudo "${codename[$1]}" "$2" "$mirror" >"$work/debootstrap$1.log" 2>&1 ||
    die "debootstrap failed; its log: $work/debootstrap$1.log"
  echo "deb $mirror ${codename[$1]} main" >"$2/etc/apt/sources.list"
  cp -r /etc/apt/apt.conf.d/. "$2/etc/apt/apt.conf.d/"
  [ ! -d /etc/apt/auth.conf.d ] || cp -r /etc/apt/auth.conf.d/. "$2/etc/apt/auth.conf.d/"
  mkdir -p "$2/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/"
  cp -L /etc/resolv.conf /etc/hosts "$2/etc/"
  pip_conf >"$2/etc/pip.conf"
  chroot "$2" useradd --create-home --shell /bin/bash user
  echo "user ALL=(ALL) NOPASSWD: ALL" >"$2/etc/sudoers.d/user"
}

in_system() { # FOLDER USER COMMAND...: in mount and process namespaces of its own, so that nothing is left behind
  local system=$1 user=$2 path
  shift 2
  for path in $(pip_paths); do
    if [ -d "$path" ]; then mkdir -p "$system$path"; elif [ -e "$path" ]; then mkdir -p "$system$(dirname "$path")"; touch "$system$path"; fi
  done
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child bash -euc '
    system=$1 user=$2 paths=$3
    shift 3
    for path in $paths; do [ ! -e "$path" ] || mount --bind -o ro "$path" "$system$path"; done
    mount -t proc proc "$system/proc"
    mount --rbind /dev "$system/dev"
    home=$(chroot "$system" getent passwd "$user" | cut -d: -f6)
    exec chroot --userspec="$user:$user" "$system" env -i HOME="$home" USER="$user" LANG=C.UTF-8 PIP_NO_CACHE_DIR=1 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
  ' - "$system" "$user" "$(pip_paths | tr '\n' ' ')" "$@"
}

record() { # DEBIAN
  (cd "$top" && .venv/bin/python -c 'import sys
from benchmarks.figures_file import record
debian, commit = sys.argv[1:]
record(f"fresh.debian{debian}", 1, "passed", "make test-fresh FRESH_RECORD=1", measured_at=commit)' "$1" "$commit")
}

failed=0
for debian in "${@:-12 13}"; do for debian in $debian; do
  [ -n "${codename[$debian]:-}" ] || die "Debian $debian: not known; legal: ${!codename[*]}"
  rm -rf --one-file-system "$work/debian$debian"
  make_system "$debian" "$work/debian$debian"
  passed=1
  for user in root user; do
    system=$work/debian$debian-$user
    rm -rf --one-file-system "$system"
    cp -a --reflink=auto "$work/debian$debian" "$system"
    home=$(chroot "$system" getent passwd "$user" | cut -d: -f6)
    git clone --quiet --no-hardlinks "$top" "$system$home/nba-codesign"
    git -C "$system$home/nba-codesign" checkout --quiet -B main "$commit"
    chroot "$system" chown -R "$user:$user" "$home/nba-codesign"
    say "Debian $debian, $user: log in $system.log"
    if in_system "$system" "$user" bash "$home/nba-codesign/tests/fresh/inside.sh" "$home/nba-codesign" >"$system.log" 2>&1; then
      say "Debian $debian, $user: passed"
      rm -rf --one-file-system "$system"
    else
      failed=1 passed=0
      say "Debian $debian, $user: FAILED; the end of its log:"
      tail -n 25 "$system.log" >&2
    fi
  done
  [ -z "${FRESH_RECORD:-}" ] || [ $passed = 0 ] || record "$debian"
done; done
exit $failed

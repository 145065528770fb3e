#!/usr/bin/env bash
# Packages from Debian, for tests only: installed as root, or with sudo, which asks for itself.
#
#   scripts/from_debian.sh PACKAGE…
set -euo pipefail

command -v apt-get >/dev/null || { echo "Please install $*: this script knows only apt-get." >&2; exit 1; }
root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Please install $* as root." >&2; exit 1; }
    root=(sudo)
fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null

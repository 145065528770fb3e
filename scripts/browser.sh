#!/usr/bin/env bash
# What the browser tests need: Chromium and its driver from Debian, and axe-core from npm, for tests only, into a scratch folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

axe_version=4.14.1
folder=.scratch/browser

packages=()
command -v chromium >/dev/null || packages+=(chromium)
command -v chromedriver >/dev/null || packages+=(chromium-driver)
command -v npm >/dev/null || packages+=(npm)
if [ "${#packages[@]}" -gt 0 ]; then
    command -v apt-get >/dev/null || { echo "Please install ${packages[*]}: this script knows only apt-get." >&2; exit 1; }
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Please install ${packages[*]} as root." >&2; exit 1; }
        root=(sudo)
    fi
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" fonts-dejavu-core >/dev/null
fi
if ! grep -qs "\"version\": \"$axe_version\"" "$folder/node_modules/axe-core/package.json"; then
    mkdir -p "$folder"
    npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" "axe-core@$axe_version"
fi

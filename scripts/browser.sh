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
    scripts/from_debian.sh "${packages[@]}" fonts-dejavu-core
fi
if ! grep -qs "\"version\": \"$axe_version\"" "$folder/node_modules/axe-core/package.json"; then
    mkdir -p "$folder"
    npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" "axe-core@$axe_version"
fi

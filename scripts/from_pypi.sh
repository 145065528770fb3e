#!/usr/bin/env bash
# A program from PyPI, for tests only, in a scratch folder of its own.
#
#   scripts/from_pypi.sh NAME VERSION [PROGRAM]   PROGRAM: what has to be there afterwards, when it is not called NAME
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name="$1" version="$2" program="${3:-$1}"
folder=".scratch/$name"

grep -qsx "$version" "$folder/version" && [ -x "$folder/bin/$program" ] && exit 0
if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
    scripts/from_debian.sh python3-venv
fi
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check "$name==$version"
echo "$version" >"$folder/version"

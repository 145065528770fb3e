#!/usr/bin/env bash
# What the test of the API's description needs: schemathesis from PyPI.
exec "$(dirname "${BASH_SOURCE[0]}")/from_pypi.sh" schemathesis 4.32.5

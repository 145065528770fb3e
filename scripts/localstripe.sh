#!/usr/bin/env bash
# What the second opinion on Stripe needs: localstripe from PyPI.
exec "$(dirname "${BASH_SOURCE[0]}")/from_pypi.sh" localstripe 1.15.10 python

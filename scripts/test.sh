#!/usr/bin/env bash
# Every test, against real PostgreSQL, RabbitMQ and Redis, which are installed if missing, started on free ports and stopped afterwards, in
# Chromium, with schemathesis and against localstripe, which are installed if missing, too.
# Arguments go to the test runner:  scripts/test.sh refund    scripts/test.sh -p boxoffice-common
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_PROGRESS_WHEN=never

step() { printf '\n== %s\n' "$*"; }

scope=(--workspace)
for argument in "$@"; do
    case "$argument" in
    -p* | --package*) scope=() ;;
    esac
done

step "Servers"
scripts/services.sh install
echo "PostgreSQL, RabbitMQ and Redis are installed."
scripts/browser.sh
echo "Chromium and axe-core are installed."
scripts/schemathesis.sh
echo "schemathesis is installed."
scripts/localstripe.sh
echo "localstripe is installed."

if [ "${#scope[@]}" -gt 0 ]; then
    step "Build"
    # All binaries and all tests in one go, with one feature set, so that nothing is compiled twice.
    cargo build --workspace --bins --tests
    export BOXOFFICE_SERVICES_BUILT=1
fi

if cargo nextest --version >/dev/null 2>&1; then
    step "Tests (nextest)"
    scripts/services.sh run cargo nextest run "${scope[@]}" "$@" </dev/null
    if [ "$#" -eq 0 ]; then
        step "Documentation tests"
        cargo test --workspace --doc --quiet </dev/null
    fi
else
    step "Tests"
    scripts/services.sh run cargo test "${scope[@]}" "$@" </dev/null
fi
step "All passed"

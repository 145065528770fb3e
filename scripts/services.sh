#!/usr/bin/env bash
# PostgreSQL, RabbitMQ and Redis for development: private instances on free loopback ports, with data in a scratch folder.
#
#   scripts/services.sh install   install the servers from Debian if they are missing (asks for root only then)
#   scripts/services.sh start     start private instances in the background and print the variables to use
#   scripts/services.sh env       print the variables again:  eval "$(scripts/services.sh env)"
#   scripts/services.sh stop      stop them and remove their data
#   scripts/services.sh run CMD…  run one command with private instances for tests, then stop them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

state=.scratch/services
export CARGO_TERM_PROGRESS_WHEN=never

say() { printf '%s\n' "$*" >&2; }

missing() {
    local packages=()
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || packages+=(postgresql)
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null || packages+=(rabbitmq-server)
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null || packages+=(redis-server)
    printf '%s\n' "${packages[@]}"
}

install() {
    local packages
    mapfile -t packages < <(missing | sed '/^$/d')
    [ "${#packages[@]}" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "Please install ${packages[*]} (PostgreSQL 15+, RabbitMQ 3.10+, Redis 7+): this script knows only apt-get."
        return 1
    fi
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { say "Please install ${packages[*]} as root."; return 1; }
        root=(sudo)
    fi
    say "Installing ${packages[*]} …"
    # The packages would start system-wide servers, which nobody here needs. A policy of the machine's own stays as it is.
    local policy=/usr/sbin/policy-rc.d ours=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod +x "$policy"
        ours=yes
    fi
    local status=0
    {
        "${root[@]}" apt-get update -q &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"
    } >&2 </dev/null || status=$?
    [ "$ours" = no ] || "${root[@]}" rm -f "$policy"
    if [ -d /run/systemd/system ]; then
        local unit
        for unit in "${packages[@]}"; do
            "${root[@]}" systemctl disable --now "$unit" >&2 || true
        done
    fi
    return "$status"
}

program() {
    local target=${CARGO_TARGET_DIR:-target}
    if [ -z "${BOXOFFICE_SERVICES_BUILT:-}" ]; then
        cargo build --quiet --package boxoffice-testkit --bin boxoffice-services >&2
    fi
    printf '%s\n' "$target/debug/boxoffice-services"
}

running() {
    local pid
    pid=$(cat "$state/pid" 2>/dev/null) || return 1
    # A recorded id may belong to somebody else by now.
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "boxoffice-servi" ]
}

start() {
    if ! running; then
        install
        local binary
        binary=$(program)
        mkdir -p "$state"
        : >"$state/env"
        nohup "$binary" >"$state/env" 2>"$state/log" </dev/null &
        printf '%s\n' $! >"$state/pid"
        local waited=0
        until grep -q '^# serving' "$state/env"; do
            if ! kill -0 "$!" 2>/dev/null || [ "$waited" -ge 1500 ]; then
                cat "$state/log" >&2
                say "The servers did not start."
                return 1
            fi
            sleep 0.1
            waited=$((waited + 1))
        done
    fi
    env_lines
}

env_lines() {
    running || { say "Not running: scripts/services.sh start"; return 1; }
    grep '^export ' "$state/env"
}

stop() {
    running || { rm -rf "$state"; return 0; }
    local pid
    pid=$(cat "$state/pid")
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm -rf "$state"
    say "Stopped."
}

case "${1:-}" in
install) install ;;
start) start ;;
env) env_lines ;;
stop) stop ;;
run)
    shift
    [ "$#" -gt 0 ] || { say "run what?"; exit 2; }
    install
    binary=$(program)
    exec "$binary" "$@"
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# Runs the tests, after installing what they need. `./run-tests.sh --help` lists the parts.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
Usage: ./run-tests.sh [PART] [PYTEST OPTION...]

Parts (default: all of them, in this order)
  check        format, lint, types, import rules, lock, documentation
  unit         beside each package; no network
  contract     every service as a process, over HTTP
  integration  a real API server
  e2e          real Pods
  compose      the images, docker-compose.yml with them, and the workflows
  step1..step5 integration and e2e tests of one step of the plan
  plan         which parts run on this machine, which do not, and why; runs nothing

A part that cannot run here is named at once, and the others run. With KUBECONFIG, integration and e2e use that cluster.

Examples
  ./run-tests.sh
  ./run-tests.sh unit -k queue
  ./run-tests.sh step1
TEXT
}

programs=(chromium curl fish git git-lfs jq lua5.4 node npm openssl redis-server rg zsh)
missing() { # PROGRAM...: those that are not there
    local program
    for program in "$@"; do command -v "$program" >/dev/null || printf ' %s' "$program"; done
}
installs() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
obstacle() { # PART: why it cannot run here; nothing when it can
    local lacking
    case "$1" in
    contract) installs || lacking=$(missing "${programs[@]}") ;;
    integration)
        if [ -n "${KUBECONFIG:-}" ]; then return; fi
        installs || lacking=$(missing openssl setpriv)
        ;;
    e2e | step[1-5])
        if [ -n "${KUBECONFIG:-}" ]; then return; fi
        [ "$(id -u)" = 0 ] || echo "a node needs root; or set KUBECONFIG to a cluster's kubeconfig"
        ;;
    compose) installs || docker info >/dev/null 2>&1 || echo "needs a docker daemon that this user may use" ;;
    esac
    if [ -n "${lacking:-}" ]; then echo "needs the programs${lacking}, or root and apt-get to install them"; fi
}
plan() {
    local part why
    for part in check unit contract integration e2e compose; do
        why=$(obstacle "$part")
        echo "$part: ${why:-runs}"
    done
}
left_out() { plan | sed -n '/: runs$/!s/^/left out: /p'; }

part=${1:-all}
shift || true
say() { printf '\n== %s\n' "$*"; }
# At once, as most of the time of these tests is waiting; `-n 0` takes it back. A distribution by file would run tests of
# one name, as schemathesis makes for the endpoints of a service, only once.
several=(-n 3 --dist worksteal)
run() { # NAME PYTEST-ARGUMENTS...
    say "$1"
    shift
    .venv/bin/python -m pytest -q "$@"
}

check() {
    say check
    make --no-print-directory check
}
cluster_tests=hack/testcluster/tests/test_testcluster_control_plane.py
unit() {
    say unit
    .venv/bin/python -m coverage erase
    .venv/bin/python -m coverage run -m pytest -q -n 2 libs services cli plugins hack --ignore "$cluster_tests" "$@"
    .venv/bin/python -m coverage combine -q
    if [ $# -eq 0 ]; then .venv/bin/python hack/check_coverage.py; fi
}
contract() {
    hack/bootstrap programs
    .venv/bin/python tests/contract/llmgateway/clients/environments.py openai openai-agents pydantic-ai
    .venv/bin/python tests/contract/toolproxy/conformance/suite.py
    hack/gotools/build collector dashboards >/dev/null
    run contract "${several[@]}" tests/contract "$@"
}
integration() {
    hack/bootstrap programs
    cluster control-plane
    if [ -n "${KUBECONFIG:-}" ]; then several=(); fi # one cluster for all: some tests replace what it has once
    run integration "${several[@]}" "$cluster_tests" tests/integration "$@"
}
e2e() {
    cluster node
    if [ $# -gt 0 ]; then
        run e2e tests/e2e "$@"
        return
    fi
    run "e2e, several at once" -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" tests/e2e
    run "e2e, each alone" -m alone tests/e2e
}
compose() {
    hack/bootstrap docker
    hack/testcluster/bootstrap
    run compose tests/compose "$@"
}
step() { # STEP PYTEST-ARGUMENTS...
    local step=$1
    shift
    cluster node
    run "$step" -m "$step" tests/integration tests/e2e "$@"
}
cluster() { # control-plane|node: what the tests start it from, unless KUBECONFIG names a cluster
    if [ -n "${KUBECONFIG:-}" ]; then return; fi
    if [ "$1" = node ]; then
        hack/testcluster/bootstrap
        hack/testcluster/cluster build
    else
        hack/testcluster/cluster build --control-plane --kwok
    fi
}

case "$part" in
-h | --help) usage; exit 0 ;;
plan)
    plan
    exit 0
    ;;
all)
    left_out
    ;;
check | unit | contract | integration | e2e | compose | step[1-5])
    why=$(obstacle "$part")
    if [ -n "$why" ]; then
        echo "error: $part cannot run here: $why" >&2
        exit 1
    fi
    ;;
*)
    echo "error: there is no part \"$part\"" >&2
    usage >&2
    exit 2
    ;;
esac

make --no-print-directory setup
case "$part" in
all)
    for each in check unit contract integration e2e compose; do
        if [ -z "$(obstacle "$each")" ]; then "$each" "$@"; fi
    done
    left_out
    ;;
step[1-5]) step "$part" "$@" ;;
*) "$part" "$@" ;;
esac

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

Examples
  ./run-tests.sh
  ./run-tests.sh unit -k queue
  ./run-tests.sh step1
TEXT
}

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
    if [ $# -eq 0 ]; then .venv/bin/python -m coverage report --format=total >/dev/null || floor; fi
}
floor() {
    .venv/bin/python -m coverage report
    echo "error: the unit tests cover less than the floor in pyproject.toml" >&2
    exit 1
}
contract() {
    hack/bootstrap programs
    .venv/bin/python tests/contract/llmgateway/clients/environments.py openai
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
all | check | unit | contract | integration | e2e | compose | step[1-5]) ;;
*)
    echo "error: there is no part \"$part\"" >&2
    usage >&2
    exit 2
    ;;
esac

make --no-print-directory setup
case "$part" in
all)
    check
    unit "$@"
    contract "$@"
    integration "$@"
    e2e "$@"
    compose "$@"
    ;;
step[1-5]) step "$part" "$@" ;;
*) "$part" "$@" ;;
esac

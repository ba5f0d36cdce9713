#!/usr/bin/env bash
# Runs the tests, after installing what they need. `./run-tests.sh --help` lists the parts.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
Usage: ./run-tests.sh [PART] [PYTEST OPTION...]

Parts (default: all of them, in this order)
  check        format, lint, types, import rules, lock
  unit         beside each package; no network
  contract     every service as a process, over HTTP
  integration  a real API server
  e2e          real Pods
  step1..step5 integration and e2e tests of one step of the plan

Examples
  ./run-tests.sh
  ./run-tests.sh unit -k queue
  ./run-tests.sh step1
TEXT
}

part=${1:-all}
shift || true
mode=${CI:+ci}

run() { # NAME PYTEST-ARGUMENTS...
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    .venv/bin/python -m coverage run -m pytest -q "$@"
}
unit() { run unit libs services cli hack "$@"; }
contract() { run contract tests/contract "$@"; }
integration() { run integration tests/integration "$@"; }
e2e() { run e2e tests/e2e "$@"; }
check() {
    printf '\n== check\n'
    make --no-print-directory check
}
coverage() {
    printf '\n== coverage\n'
    .venv/bin/python -m coverage combine --quiet
    .venv/bin/python -m coverage report
}

case "$part" in
-h | --help) usage; exit 0 ;;
all | check | unit | contract | integration | e2e | step[1-5]) ;;
*)
    echo "error: there is no part \"$part\"" >&2
    usage >&2
    exit 2
    ;;
esac

make --no-print-directory setup
rm -f .coverage .coverage.*
case "$part" in
all)
    check
    unit "$@"
    contract "$@"
    coverage
    ;;
step[1-5]) run "$part" -m "$part" tests "$@" ;;
*) "$part" "$@" ;;
esac

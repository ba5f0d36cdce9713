#!/usr/bin/env bash
# The tests against a real API server: ./run-tests.sh integration, with its options.
exec "$(dirname "$0")/../run-tests.sh" integration "$@"

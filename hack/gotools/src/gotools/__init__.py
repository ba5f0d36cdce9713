"""Tools of the tests that come as Go modules and not as packages: compose, actionlint, a collector, Grafana's schema.

Each has a module of its own beside this package, because their dependencies disagree. They are built once per
version into the cache, as the test cluster's programs are.
"""

"""The programs of a cluster, each with its configuration and command line."""

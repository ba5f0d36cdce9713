"""A real Kubernetes control plane, and a real node, on the machine the tests run on.

The tests of an operator are worth what their API server is worth. This package builds the real one from
its Go modules and runs it as plain processes: no image is pulled, no container engine has to be there, and
many control planes run side by side. With root it also runs one node with real Pods, in network, mount and
PID namespaces of its own, so that the host's firewall, mounts and process table stay as they were.

It needs Python >= 3.11 and nothing from an index, because it runs before any environment exists.
"""

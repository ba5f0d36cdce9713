"""The Pod on this machine: what the kubelet does for a Pod, done for local processes."""

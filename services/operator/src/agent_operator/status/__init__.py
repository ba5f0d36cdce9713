"""What an agent's children, Pods and sidecars say, made into one status."""

"""What every container of the Pod is made with: mounts, sizes, security contexts, places, the way out."""

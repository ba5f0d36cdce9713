"""Objects of the cluster, listed, watched and kept."""

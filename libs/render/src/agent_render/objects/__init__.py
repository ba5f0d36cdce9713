"""The Kubernetes objects of an agent: the workload with its Pod, and the small ones beside it."""

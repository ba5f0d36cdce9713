"""The containers of the Pod, a module for each, and what they share."""

"""The model gateway of an agent Pod. Empty on purpose: commands pay only for what they import."""

"""gateway.json, checked, and the providers made of it."""

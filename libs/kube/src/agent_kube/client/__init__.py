"""The API server over HTTP: who to be there, how to reach it, and what its answers mean."""

"""Parts of Kubernetes' own API, with every field known.

The API server would drop a misspelt field of an open object without a word.
"""

"""Builds the project's images, and, where no registry can be reached, the base images they start from.

The images are ordinary Dockerfiles that any builder takes. This package adds what a development machine
needs around them: a context that holds the repository's files and nothing else, the host's certificate
authorities where it has its own, names that say which revision is inside, and archives that the test
cluster loads.
"""

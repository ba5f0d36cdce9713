"""What can go wrong here.

ReleaseError
└── BuildError    uv or kubectl failed; the message has its own words
"""


class ReleaseError(Exception):
    """The root; the command line prints it as one message and exits with 1."""


class BuildError(ReleaseError):
    """A program that a release is made with failed."""

"""What can go wrong here.

ImageError
├── NoEngineError    neither buildah nor a docker daemon
├── UnknownImageError    there is no such image to build
├── PinError             an image reference, or the overlay that is to have it, is not fit for it
└── BuildFailedError     a builder or debootstrap failed; its own words are on the terminal
"""


class ImageError(Exception):
    """The root; the command line prints it as one message and exits with 1."""


class NoEngineError(ImageError):
    """Nothing here can build images."""


class UnknownImageError(ImageError):
    """No Dockerfile of that name."""


class PinError(ImageError):
    """A reference is no pinned one, or a file has no place for it."""


class BuildFailedError(ImageError):
    """A command failed."""

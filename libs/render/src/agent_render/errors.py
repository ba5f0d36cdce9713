"""What can go wrong while rendering.

    RenderError
    └── UnsupportedError    the spec is valid, but this platform cannot carry it out

The message is one sentence that says what to change; the operator shows it as `Accepted=False`.
"""


class RenderError(Exception):
    """Base of this package's errors."""


class UnsupportedError(RenderError):
    """Raised when the spec asks for what the platform's settings do not offer."""

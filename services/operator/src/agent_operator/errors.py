"""What ends the operator before it runs. What a reconcile meets is in `agent_kube.errors`.

OperatorError
└── PlatformError    the platform settings cannot be read; the message names file and field
"""


class OperatorError(Exception):
    """Base of this package's own errors."""


class PlatformError(OperatorError):
    """Raised when the platform settings file is missing, is not YAML, or has a field that is not valid."""

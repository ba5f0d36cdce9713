"""Everything that can go wrong here, each with a message that says what to do.

ClusterError
├── BuildError            a program could not be built: the compiler's own words are in the message
├── MissingProgramError   the host lacks a program
├── UsageError            the options do not fit together, or not this cluster
├── NotUpError            there is no cluster in this home
├── NotReadyError         something did not become ready in time, or ended early
└── CommandError          a program that sets the host or the node up failed
"""


class ClusterError(Exception):
    """The root; the command line prints it as one message and exits with 1."""


class BuildError(ClusterError):
    """A program of the cluster could not be built."""


class MissingProgramError(ClusterError):
    """The host lacks a program that this mode needs."""


class UsageError(ClusterError):
    """Options that contradict each other or the cluster that runs."""


class NotUpError(ClusterError):
    """No cluster runs in the given home."""


class NotReadyError(ClusterError):
    """A component did not become ready in time or ended."""


class CommandError(ClusterError):
    """A command on the host or in the node failed."""

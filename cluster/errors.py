"""What can go wrong between processes, as one small tree.

    ClusterError(ValueError)
    ├── Unreachable        no Ray at the given address, or the token is wrong
    ├── ResourcesMissing   a request that no node of the cluster can meet
    ├── WaitTimeout        a named wait passed its deadline
    └── ActorDied          the process behind an actor is gone

An exception raised by the code inside an actor is none of these: it arrives as itself, with the remote traceback
attached as a note.
"""


class ClusterError(ValueError):
    """Something about the cluster, not about the program: the message names what, where and the remedy."""


class Unreachable(ClusterError):
    """Ray cannot be joined or started."""


class ResourcesMissing(ClusterError):
    """No node has, or will have, what was asked for."""


class WaitTimeout(ClusterError):
    """A wait ended at its deadline without a result."""


class ActorDied(ClusterError):
    """An actor's process ended while its answer was awaited, or before."""

"""What can go wrong between processes, as one small tree.

    ClusterError(ValueError)
    ├── Unreachable        no Ray at the given address, or the token is wrong
    │   └── TokenRefused   the cluster asks for a token, and ours is missing or another
    ├── ResourcesMissing   a request that no node of the cluster can meet
    ├── NotServed          replicas that do not start, or no Ray Serve (cluster.serving)
    ├── PackageTooLarge    a working directory that is too much to send with a job
    ├── WaitTimeout        a named wait passed its deadline
    └── ActorDied          the process behind an actor is gone

An exception raised by the code inside an actor is none of these: it arrives as itself, with the remote traceback
attached as a note.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

P = ParamSpec("P")
USER_ERROR_EXIT = 2
INTERRUPTED_EXIT = 130


class ClusterError(ValueError):
    """Something about the cluster, not about the program: the message names what, where and the remedy."""


class Unreachable(ClusterError):
    """Ray cannot be joined or started."""


class TokenRefused(Unreachable):
    """A Ray cluster answers, but does not take our token."""


class PackageTooLarge(ClusterError):
    """What a job would take along exceeds what a cluster accepts."""


class ResourcesMissing(ClusterError):
    """No node has, or will have, what was asked for."""


class WaitTimeout(ClusterError):
    """A wait ended at its deadline without a result."""


class ActorDied(ClusterError):
    """An actor's process ended while its answer was awaited, or before."""


class CommandLine(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; {self.prog} --help lists all arguments", file=sys.stderr)
        raise SystemExit(USER_ERROR_EXIT)


def exit_on_cluster_error(main: Callable[P, int]) -> Callable[P, int]:
    """Make a command's `main` print a ClusterError or OSError to stderr and return 2; Ctrl-C returns 130."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except (ClusterError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return USER_ERROR_EXIT
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED_EXIT

    return wrapped


LOST = (ActorDied, WaitTimeout)
"""An actor that is gone, or as good as gone."""

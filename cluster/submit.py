"""`python -m cluster.submit [--address URL] -- python -m MODULE ARGUMENTS…`: check, send, follow.

Before anything is sent, the command says what it needs (cluster/needs.py), and the cluster is asked whether it takes
our token and has room. A job runs in a temporary folder of the cluster, so everything that must outlive it is named by
an absolute path: on this machine relative ones are taken from here, elsewhere they are refused. The same line again
thus finds what the first one wrote.
"""

import argparse
import asyncio
import logging
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.dashboard import DEFAULT_ADDRESS, Dashboard, default_address, reach
from cluster.errors import (
    INTERRUPTED_EXIT,
    ClusterError,
    CommandLine,
    ResourcesMissing,
    Unreachable,
    WaitTimeout,
    exit_on_cluster_error,
)
from cluster.needs import Needs, ask
from cluster.package import EXCLUDES, MIB, Package, gather
from cluster.paths import Place, absolute_path

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

BARE_PYTHON = ("python", "python3")
"""On this machine: ours. On another: the first on the path of its `ray start`."""
START_TIMEOUT_S = 600.0  # for a job to begin: Ray unpacks its files, and a busy cluster queues it
AGENT_TIMEOUT_S = 60.0  # for the head of a cluster that has just started to take jobs
LOST_CONTACT_S = 60.0
REPORT_EVERY_S = 30.0
_POLL_S = 0.5
_NOT_YET = "No available agent"  # Ray's words
_NO_AGENT = (
    "the head of the cluster at {address} has taken no job for {waited:g} s: its agent is not up. Another Ray on that "
    "machine may hold the agent's port: start the head with a free --dashboard-agent-listen-port, or look into "
    "dashboard_agent.log in Ray's session folder"
)
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_USAGE = (
    "python -m cluster.submit [-h] [--address URL] [--working-dir DIR] [--job-id ID] [--no-wait] -- "
    "python -m MODULE [ARGUMENT …]"
)


@exit_on_cluster_error
def main(argv: Sequence[str] | None = None) -> int:
    args, command = _parse(list(sys.argv[1:] if argv is None else argv))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    root = args.working_dir.resolve()
    needs = ask(command, root)
    if needs is None:
        print("unchecked: this command does not say what it needs", flush=True)
    cluster = reach(args.address)
    if needs:
        require_room(needs, cluster)
    package = gather(root)
    command = _at_home(command, needs, cluster, package)
    job_id = send(command, package, cluster.address, args.job_id, needs)
    print(f"job {job_id} sent: {shlex.join(command)}\ndashboard: {cluster.address}/#/jobs/{job_id}", flush=True)
    print(how_to(job_id, cluster.address), flush=True)
    return 0 if args.no_wait else follow(client(cluster.address), job_id, cluster.address)


def _parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our options, and the command behind `--`."""
    at = words.index("--") if "--" in words else len(words)
    parser = CommandLine("python -m cluster.submit", _USAGE, (__doc__ or "").splitlines()[0])
    found = f"the dashboard, default RAY_API_SERVER_ADDRESS or {DEFAULT_ADDRESS}"
    parser.add_argument("--address", default=default_address(), help=found)
    parser.add_argument("--working-dir", type=Path, default=Path("."), help="what the job takes along, default: here")
    parser.add_argument("--job-id", help="a name for the job, new on that cluster")
    parser.add_argument("--no-wait", action="store_true", help="return as soon as it is sent")
    args = parser.parse_args(words[:at])
    if not words[at + 1 :]:
        parser.error("a command must follow `--`, e.g. -- python -m MODULE --config FILE")
    return args, words[at + 1 :]


def require_room(needs: Needs, cluster: Dashboard) -> None:
    """ResourcesMissing unless the nodes could hold the run; slots that others use now count as free, and are named."""
    layout, tried = needs.layout_on(cluster.nodes)
    if layout is None:
        misfits = "\n".join(f"{name}: {misfit}" for name, misfit in tried.items())
        there = "\n".join(f"  {node}" for node in cluster.nodes)
        raise ResourcesMissing(
            f"the cluster at {cluster.address} has no room for this run.\n{misfits}\nThere:\n{there}\n"
            "Ask for less in the config, or add nodes; `python -m cluster.plan` shows each part."
        )
    asked = ", ".join(f"{b.count} × {b.name} ({b})" for b in [needs.driver, *needs.layouts.get(layout, ())])
    print(f"room: {layout}: {asked}", flush=True)
    if cluster.in_use:
        used = ", ".join(f"{slots:g} {name}" for name, slots in cluster.in_use.items())
        print(f"in use by others now: {used}; the run waits a little for room, then gives up", flush=True)


def _at_home(command: Sequence[str], needs: Needs | None, cluster: Dashboard, package: Package) -> list[str]:
    """The command as the head can run it: absolute paths, our Python when it is here. Says where its results lie."""
    python = sys.executable if cluster.is_here and command[0] in BARE_PYTHON else command[0]
    named = [python, *command[1:]]
    if needs is None:
        return named
    head = cluster.nodes[0]
    place = Place(package.root, cluster.is_here, package.holds, f"the head {head.host or head.name}")
    for file in needs.files:
        named, path = absolute_path(named, file, place)
        if file.use == "written":
            print(f"{file.name} is {path} on {place.head}: the same line again finds it there", flush=True)
    return named


def send(command: Sequence[str], package: Package, address: str, job_id: str | None, needs: Needs | None) -> str:
    """Upload the package and start the job; returns its id. ClusterError: Ray refuses it, e.g. a job id twice."""
    jobs = client(address)
    print(f"sending {len(package.sizes)} files, {package.bytes / MIB:.1f} MiB, of {package.root}", flush=True)
    deadline = time.monotonic() + AGENT_TIMEOUT_S
    while True:
        try:
            return _submit(jobs, command, package.root, job_id, needs)
        except RuntimeError as error:
            if _NOT_YET not in str(error):
                raise ClusterError(f"the cluster at {address} refused the job: {_last_line(error)}") from None
            if time.monotonic() > deadline:
                raise ClusterError(_NO_AGENT.format(address=address, waited=AGENT_TIMEOUT_S)) from None
        time.sleep(_POLL_S)


def client(address: str) -> "JobSubmissionClient":
    """Ray's own, imported late: it takes a second."""
    from ray.job_submission import JobSubmissionClient

    for module in ("dashboard_sdk", "job.sdk"):  # what they upload and when a socket closes is no news
        logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.WARNING)
    return JobSubmissionClient(address)


def _submit(
    client: "JobSubmissionClient", command: Sequence[str], root: Path, job_id: str | None, needs: Needs | None
) -> str:
    """The slots of the command's own process are held while it runs; without any it runs on the head."""
    os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"  # EXCLUDES alone says what stays at home
    os.environ["RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES"] = ""
    slots = {f"entrypoint_num_{kind}s": getattr(needs.driver, f"{kind}s") or None for kind in ("cpu", "gpu") if needs}
    files = {"working_dir": str(root), "excludes": list(EXCLUDES)}
    return str(client.submit_job(entrypoint=shlex.join(command), submission_id=job_id, runtime_env=files, **slots))


def follow(client: "JobSubmissionClient", job_id: str, address: str) -> int:
    """Print the job's log until it ends; its exit code. Ctrl-C leaves the job running and returns 130."""
    try:
        _wait_for_start(client, job_id)
        _print_log(client, job_id)
        return _end(client, job_id)
    except KeyboardInterrupt:
        print(f"\njob {job_id} goes on.\n{how_to(job_id, address)}", file=sys.stderr, flush=True)
        return INTERRUPTED_EXIT


def how_to(job_id: str, address: str) -> str:
    return (
        f"  follow: ray job logs --follow --address {address} {job_id}\n"
        f"  stop:   ray job stop --address {address} {job_id}"
    )


def _wait_for_start(client: "JobSubmissionClient", job_id: str) -> None:
    began = reported = time.monotonic()
    while str((info := client.get_job_info(job_id)).status.value) == "PENDING":
        waited = time.monotonic() - began
        if waited > START_TIMEOUT_S:
            raise WaitTimeout(f"job {job_id} has not begun in {waited:.0f} s: {info.message}")
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            print(f"waiting {waited:.0f} s for job {job_id} to begin: {info.message}", flush=True)
        time.sleep(_POLL_S)


def _print_log(client: "JobSubmissionClient", job_id: str) -> None:
    """All of the log, once, through lost connections; Unreachable after a minute without contact."""
    printed, lost_since = 0, None
    while True:
        try:
            printed = asyncio.run(_tail(client, job_id, printed))
            if client.get_job_info(job_id).status.is_terminal():
                return
            lost_since = None
        except (OSError, RuntimeError) as error:  # aiohttp's and requests' are OSErrors, Ray's are RuntimeErrors
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > LOST_CONTACT_S:
                reason = f"lost contact with the cluster for {LOST_CONTACT_S:.0f} s ({_last_line(error)})"
                raise Unreachable(f"{reason}; job {job_id} may go on") from None
        time.sleep(_POLL_S)


async def _tail(client: "JobSubmissionClient", job_id: str, printed: int) -> int:
    """Print what comes behind the first `printed` characters of the log; how many have been printed now."""
    position = 0
    async for text in client.tail_job_logs(job_id):
        new = text[max(0, printed - position) :]
        position += len(text)
        if new:
            print(new, end="", flush=True)
    return max(position, printed)


def _end(client: "JobSubmissionClient", job_id: str) -> int:
    """Says how the job ended: 0, the driver's exit code, or 1 when there is none."""
    info = client.get_job_info(job_id)
    status, code = str(info.status.value), info.driver_exit_code
    print(f"job {job_id}: {status}", flush=True)
    if status == "SUCCEEDED":
        return 0
    print((info.message or "no message").partition(", last available logs")[0], file=sys.stderr, flush=True)
    return int(code) if code else 1


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


if __name__ == "__main__":
    raise SystemExit(main())

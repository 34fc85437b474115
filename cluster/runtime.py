"""Joins the Ray cluster that RAY_ADDRESS names, or starts a small one on this machine and stops it at the end."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray

from cluster.errors import Unreachable

log = logging.getLogger(__name__)

MIB = 1 << 20
CONNECT_TIMEOUT_S = 10.0
START_ATTEMPTS = 3  # a busy machine can miss Ray's own deadline
_REMEDY = "start a cluster there (`ray start --head`), or unset RAY_ADDRESS to run on this machine alone"
# Ray does not say why a cluster that answers would not have us; with an address given it sends a token only when told.
_TOKEN_REMEDY = (
    "does the cluster ask for a token? Set RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or in the file named "
    "by RAY_AUTH_TOKEN_PATH; else check that it is a Ray cluster of this version"
)
# Read by Ray's daemons at start: children of a killed actor die with it, no worker waits idle for a task, and the
# history of calls, which only a dashboard shows, is not kept.
_LOCAL_ENV = {
    "RAY_process_group_cleanup_enabled": "true",
    "RAY_prestart_worker_first_driver": "false",
    "RAY_enable_metrics_collection": "false",
    "RAY_task_events_report_interval_ms": "0",
}


@dataclass(frozen=True)
class Runtime:
    """The Ray that this process is connected to."""

    address: str
    started_here: bool  # then it ends with this process
    session_dir: str  # Ray's logs lie in <session_dir>/logs


@contextmanager
def start(num_cpus: int, object_store_mib: int = 256, log_to_driver: bool = False) -> Iterator[Runtime]:
    """Connects to Ray for the length of the `with` block.

    Args:
        num_cpus: CPU slots of a Ray started here. Slots are bookkeeping: more slots than cores is allowed.
        object_store_mib: shared memory for objects between processes of a Ray started here, MiB.
        log_to_driver: print what actors write to stdout and stderr.

    Raises:
        Unreachable: RAY_ADDRESS is set and cannot be joined, or Ray does not start.
    """
    if num_cpus < 1:
        raise Unreachable(f"a local Ray needs at least 1 CPU slot, got num_cpus={num_cpus}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = os.environ.get("RAY_ADDRESS", "")
    local = address in ("", "local")
    on_term = signal.getsignal(signal.SIGTERM)
    info = _start_local(num_cpus, object_store_mib, log_to_driver) if local else _join(address, log_to_driver)
    if callable(on_term) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_term)  # Ray has put its own there
    try:
        yield Runtime(address=str(info["gcs_address"]), started_here=local, session_dir=str(info["session_dir"]))
    finally:
        ray.shutdown()


def node_address() -> str:
    """The address at which other nodes of the cluster reach this one; without Ray, the loopback."""
    return str(ray.util.get_node_ip_address()) if ray.is_initialized() else "127.0.0.1"


def _join(address: str, log_to_driver: bool) -> dict[str, Any]:
    _require_listener(address)
    try:
        context: Any = ray.init(address=address, log_to_driver=log_to_driver, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises half a dozen types here
        raise Unreachable(_refusal(address, _first_line(error), _TOKEN_REMEDY)) from error
    return dict(context.address_info)


def _require_listener(address: str) -> None:
    """Ray itself tries a silent address for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto", or something that Ray refuses at once
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise Unreachable(_refusal(address, f"nothing answers there ({error})", _REMEDY)) from None


def _refusal(address: str, reason: str, remedy: str) -> str:
    return f"RAY_ADDRESS={address} cannot be joined: {reason}\nRemedy: {remedy}."


def _start_local(num_cpus: int, object_store_mib: int, log_to_driver: bool) -> dict[str, Any]:
    for key, value in _LOCAL_ENV.items():
        os.environ.setdefault(key, value)
    # Actors import the code of this process, from whatever folder it was started.
    searched = [str(Path(__file__).resolve().parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, searched)))
    for attempt in range(1, START_ATTEMPTS + 1):
        ours = psutil.Process()
        before = set(ours.children())
        try:
            context: Any = ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=object_store_mib * MIB,
                log_to_driver=log_to_driver,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # Ray gives its daemons 30 s, and on failure leaves them behind
            ray.shutdown()
            _end([child for child in ours.children() if child not in before])
            reason = f"Ray did not start on this machine: {_first_line(error)}"
            if attempt == START_ATTEMPTS:
                raise Unreachable(reason) from error
            log.warning("%s (attempt %d of %d)", reason, attempt, START_ATTEMPTS)
        else:
            return dict(context.address_info)
    raise AssertionError("unreachable")


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

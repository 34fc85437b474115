"""Joins the Ray cluster that RAY_ADDRESS names, or starts a small one on this machine and stops it at the end."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from cluster.errors import Unreachable

log = logging.getLogger(__name__)

MIB = 1 << 20
# Read by Ray's daemons at start: children of a killed actor die with it, and no worker waits idle for a task.
_LOCAL_ENV = {
    "RAY_process_group_cleanup_enabled": "true",
    "RAY_prestart_worker_first_driver": "false",
    "RAY_enable_metrics_collection": "false",
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
    info = _start_local(num_cpus, object_store_mib, log_to_driver) if local else _join(address, log_to_driver)
    try:
        yield Runtime(address=str(info["gcs_address"]), started_here=local, session_dir=str(info["session_dir"]))
    finally:
        ray.shutdown()


def _join(address: str, log_to_driver: bool) -> dict[str, Any]:
    try:
        context: Any = ray.init(address=address, log_to_driver=log_to_driver, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises half a dozen types here
        remedy = "start a cluster there (`ray start --head`), or unset RAY_ADDRESS to run on this machine alone"
        if "uthenticat" in str(error) or "token" in str(error):
            remedy = "give the cluster's token in RAY_AUTH_TOKEN or in the file named by RAY_AUTH_TOKEN_PATH"
        raise Unreachable(f"RAY_ADDRESS={address} cannot be joined: {_first_line(error)}\nRemedy: {remedy}.") from error
    return dict(context.address_info)


def _start_local(num_cpus: int, object_store_mib: int, log_to_driver: bool) -> dict[str, Any]:
    for key, value in _LOCAL_ENV.items():
        os.environ.setdefault(key, value)
    try:
        context: Any = ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            object_store_memory=object_store_mib * MIB,
            log_to_driver=log_to_driver,
            logging_level=logging.ERROR,
        )
    except Exception as error:
        raise Unreachable(f"Ray did not start on this machine: {_first_line(error)}") from error
    return dict(context.address_info)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

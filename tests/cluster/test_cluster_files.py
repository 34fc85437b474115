"""The files of cluster/clusters: by Ray's own schema where Ray has one, and by what this project promises of them."""

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster.dashboard import default_address
from cluster.needs import module_of

ROOT = Path(__file__).resolve().parents[2]
CLUSTERS = ROOT / "cluster" / "clusters"


def pinned(package: str) -> str:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return next(pin.split("==")[1] for pin in groups["direct"] if pin.startswith(f"{package}=="))


@pytest.mark.parametrize("name", ["aws", "on-premise"])
def test_a_file_for_ray_up_is_what_ray_accepts(name: str) -> None:
    config = prepare_config(yaml.safe_load((CLUSTERS / f"{name}.yaml").read_text()))
    validate_config(config)
    unknown = config | {"no_such_key": 1}
    with pytest.raises(Exception, match="no_such_key"):
        validate_config(unknown)


@pytest.mark.parametrize("name", ["aws", "on-premise"])
def test_every_node_of_ray_up_asks_for_the_token_and_the_dashboard_stays_on_the_loopback(name: str) -> None:
    config: dict[str, Any] = yaml.safe_load((CLUSTERS / f"{name}.yaml").read_text())
    assert "~/.ray/auth_token" in config["file_mounts"]
    starts = [config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]]
    assert all("RAY_AUTH_MODE=token" in start and "RAY_enable_metrics_collection=false" in start for start in starts)
    words = shlex.split(starts[0])
    assert "--dashboard-host=127.0.0.1" in words
    port = next(word.partition("=")[2] for word in words if word.startswith("--dashboard-port="))
    assert default_address() == f"http://127.0.0.1:{port}"  # what `ray dashboard FILE` forwards to


def test_aws_has_a_gpu_head_and_gpu_workers() -> None:
    config = yaml.safe_load((CLUSTERS / "aws.yaml").read_text())
    kinds = config["available_node_types"]
    assert config["head_node_type"] in kinds and kinds["worker"]["min_workers"] >= 1
    assert all(kind["node_config"]["InstanceType"].startswith("g") for kind in kinds.values())


def test_the_ray_job_runs_our_command_on_gpus_with_a_token_and_the_pinned_ray() -> None:
    job, policy = yaml.safe_load_all((CLUSTERS / "kuberay-rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"], policy["kind"]) == ("ray.io/v1", "RayJob", "NetworkPolicy")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == pinned("ray") and cluster["authOptions"]["mode"] == "token"
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert "workerGroupSpecs" in cluster and not set(job["spec"]) - {
        "backoffLimit", "entrypoint", "rayClusterSpec", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"
    }  # fmt: skip
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in group["template"]["spec"]["volumes"]}


def test_the_ray_jobs_entrypoint_names_a_shipped_config_and_absolute_paths() -> None:
    job = next(yaml.safe_load_all((CLUSTERS / "kuberay-rayjob.yaml").read_text()))
    words = shlex.split(job["spec"]["entrypoint"])
    assert module_of(words) == "rl.train" and (ROOT / words[words.index("--config") + 1]).is_file()
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    assert {"run.dir", "init_adapter"} == set(settings)
    assert all(value.startswith("/data/") for value in [*settings.values(), words[words.index("--data") + 1]])

"""Where `make venv` takes torch from for the CPU stack. Standard library only: nothing else is installed yet.

Reads the report of `pip install --dry-run --report -` and prints the option that adds PyTorch's own index of CPU
wheels, where the index in use would give a CUDA build; nothing where it would not.
"""

import json
import sys
from typing import Any

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
CUDA_PARTS = ("nvidia", "cuda", "triton")


def is_cuda_build(report: dict[str, Any]) -> bool:
    """A CUDA build of torch asks for CUDA's libraries, or says so in its version.

    >>> is_cuda_build({"install": [{"metadata": {"version": "2.13.0+cpu", "requires_dist": ["sympy", "jinja2"]}}]})
    False
    """
    for one in report.get("install", []):
        metadata = one["metadata"]
        local = metadata.get("version", "").partition("+")[2]
        if local.startswith("cu") or any(need.startswith(CUDA_PARTS) for need in metadata.get("requires_dist", ())):
            return True
    return False


def option(text: str) -> str:
    """What to add to `pip install`. A report that cannot be read adds nothing: the installation itself says why."""
    try:
        report = json.loads(text)
    except ValueError:
        return ""
    return f"--extra-index-url {CPU_WHEELS}" if is_cuda_build(report) else ""


if __name__ == "__main__":
    print(option(sys.stdin.read()))

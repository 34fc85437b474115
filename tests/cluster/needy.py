"""A command that asks for more than a test's cluster has."""

import argparse
import json
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--needs")
    parser.add_argument("--judges", type=int)
    args = parser.parse_args(argv)
    bundles = [{"name": "engine", "count": 2, "cpus": 1}, {"name": "judge", "count": args.judges, "cpus": 1}]
    print(json.dumps({"layouts": [{"name": "on CPUs", "bundles": bundles}], "files": []}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

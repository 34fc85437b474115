"""Serve a database: questions in words over HTTP, OpenAI's API, and a page.

    python -m rl.serve --database shop.sqlite                       http://127.0.0.1:8000
    python -m rl.serve --database DIR --adapter sft=runs/a/adapter --adapter rl=runs/b/adapter
    python -m rl.serve --database DIR --cluster --replicas 2        the same application under Ray Serve

Without --model the bundled one answers, without --adapter the one that comes with the project for the model.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.fit import Bundle
from evaluation.command import CommandLine, at_least, check_output
from evaluation.errors import UserError, exit_on_user_error
from rl import policies
from rl.selection import INSTANCES, selection
from rl.selection import add_options as add_selection
from rl.serve.databases import Databases, found
from rl.serve.guard import LOOPBACK

if TYPE_CHECKING:
    from rl.serve.service import Service, Setup

TOKEN = "ROLLSQL_TOKEN"
MOST_UPLOAD_MIB = 1024


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    token = _token(args)
    how, adapters = selection(args), dict(args.adapter)
    if len(adapters) < len(args.adapter):
        raise UserError("--adapter: every adapter needs a name of its own; give NAME=DIR")
    policies.check_model(args.model, list(adapters.values()))
    if args.feedback:
        args.feedback = args.feedback.absolute()
        check_output(args.feedback, "--feedback", (".jsonl",))
    databases = Databases(files := found(args.database), args.uploads * 2**20)
    try:
        _check_cluster(args)
        with _listening(args.host, args.port) as listening:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uploads are removed then, too
            from rl.serve.service import Setup, elsewhere  # slow: after all that can be wrong

            recipe = policies.recipe(args, adapters or policies.shipped_adapter(args))
            setup = Setup(recipe, how, args.instances or INSTANCES, args.feedback, token)
            said = f"{_page(listening, token)}\ndatabases: {', '.join(databases.ids())}; "
            said += f"policies: {', '.join(recipe.prompts)}"
            if args.cluster:
                listening.close()
                _serve_on_cluster(args, elsewhere(setup, [file.absolute() for file in files]), said)
            else:
                _serve_here(setup, databases, listening, said)
    finally:
        databases.close()
    return 0


def _page(listening: socket.socket, token: str) -> str:
    host, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/{f'#token={token}' if token else ''}"


def _serve_here(setup: Setup, databases: Databases, listening: socket.socket, said: str) -> None:
    """Until Ctrl-C or SIGTERM."""
    import uvicorn

    from rl.serve.connections import Connection, allow_files
    from rl.serve.service import Service

    allow_files()
    service = Service(setup, databases)
    try:
        config = uvicorn.Config(
            service.app, http=Connection, ws="none", log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        print(said, flush=True)
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        service.close()


def _serve_on_cluster(args: argparse.Namespace, build: Callable[[], Service], said: str) -> None:
    """Until Ctrl-C or SIGTERM. On nodes with GPUs a replica has one to itself."""
    from cluster.resources import nodes
    from cluster.runtime import start
    from cluster.serving import served

    with start(num_cpus=args.replicas) as runtime:
        gpus = min(1, max(node.gpus for node in nodes()))
        with served(build, Bundle("replica", args.replicas, cpus=1, gpus=gpus), "rollsql", args.host, args.port):
            count = f"{args.replicas} replica{'s' * (args.replicas > 1)}"
            print(f"{said}\n{count} on the Ray cluster {runtime.address}", flush=True)
            signal.pause()


def _check_cluster(args: argparse.Namespace) -> None:
    if args.replicas != 1 and not args.cluster:
        raise UserError(f"--replicas needs --cluster, got --replicas {args.replicas}")
    if not args.cluster:
        return
    if args.port == 0:
        raise UserError("--port must be given with --cluster: all nodes listen on the same one")
    if args.uploads:
        raise UserError("--uploads needs one server: on a cluster each replica would know its own uploads only")
    from cluster.serving import require_ray_serve

    require_ray_serve()


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("rl.serve", (__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", type=_there, nargs="+", required=True, help="SQLite files, or folders of them")
    parser.add_argument("--model", default=policies.BUNDLED, help="base model (default: the bundled sft/tiny)")
    parser.add_argument(
        "--adapter", type=policies.named_adapter, action="append", default=[], metavar="[NAME=]DIR",
        help="LoRA adapter; may be given several times, all answer from one engine (default: the shipped one)",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; others than loopback need a token")
    parser.add_argument("--port", type=_port, default=8000, help="0: a free one (default 8000)")
    parser.add_argument("--token", help=f"what every request must show (default: ${TOKEN}; drawn off the loopback)")
    parser.add_argument("--feedback", type=Path, metavar="FILE", help="a .jsonl file that keeps thumbs and corrections")
    parser.add_argument(
        "--uploads", type=_mib, default=0, metavar="MIB", help="largest database that may be uploaded (default 0: none)"
    )
    parser.add_argument(
        "--cluster", action="store_true", help="as replicas on the Ray cluster of $RAY_ADDRESS, or here"
    )
    parser.add_argument("--replicas", type=at_least(1), default=1, help="with --cluster: engines (default 1)")
    add_selection(parser)
    policies.add_options(parser)
    return parser


def _there(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} must be an existing file or folder")
    return path


def _port(text: str) -> int:
    number = at_least(0)(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"must be at most 65535, got {text}")
    return number


def _mib(text: str) -> int:
    number = at_least(0)(text)
    if number > MOST_UPLOAD_MIB:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_UPLOAD_MIB}, got {text}")
    return number


def _token(args: argparse.Namespace) -> str:
    given = os.environ.get(TOKEN, "") if args.token is None else args.token
    if args.token is not None and len(given) < 16 or given and not (given.isascii() and given.isprintable()):
        raise UserError(f"the token must have at least 16 characters of ASCII, got {len(given)}")
    return given or ("" if args.host in LOOPBACK else secrets.token_urlsafe(24))


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}, port {port}: {error.strerror}; give another --port or --host"
        ) from None


if __name__ == "__main__":
    raise SystemExit(main())

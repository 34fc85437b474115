"""Serve a database: questions in words over HTTP, OpenAI's API, and a page.

    python -m rl.serve --database shop.sqlite                       http://127.0.0.1:8000
    python -m rl.serve --database DIR --adapter sft=runs/a/adapter --adapter rl=runs/b/adapter

Without --model the bundled one answers, without --adapter the one that comes with the project for the model.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.command import CommandLine, at_least, check_output
from evaluation.errors import UserError, exit_on_user_error
from rl import policies
from rl.selection import INSTANCES, Selection, Selector, selection
from rl.selection import add_options as add_selection
from rl.serve.databases import Databases, found
from rl.serve.guard import LOOPBACK

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
        check_output(args.feedback, "--feedback", (".jsonl",))
    databases = Databases(found(args.database), args.uploads * 2**20)
    try:
        with _listening(args.host, args.port) as listening:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uploads are removed then, too
            serve(args, adapters, databases, how, token, listening)
    finally:
        databases.close()
    return 0


def serve(
    args: argparse.Namespace,
    adapters: dict[str, Path],
    databases: Databases,
    how: Selection,
    token: str,
    listening: socket.socket,
) -> None:
    """Until Ctrl-C or SIGTERM."""
    import uvicorn

    from evaluation.databases.sandbox import Limits
    from evaluation.instances.folder import Cached
    from rl.asker import SHOWN, Asker
    from rl.serve.app import Parts, application
    from rl.serve.batcher import Batcher
    from rl.serve.connections import Connection, allow_files
    from rl.serve.feedback import Feedback
    from rl.serve.sandboxes import Sandboxes

    allow_files()
    started = policies.start(args, adapters or policies.shipped_adapter(args))
    shown, voting = (Sandboxes(max(2, os.cpu_count() or 2), limits) for limits in (SHOWN, Limits()))
    batcher = Batcher(started.generator)
    try:
        selector = Selector(voting.execute, Cached(args.instances or INSTANCES))
        asker = Asker(started, shown.execute, selector, how, batcher, args.max_tokens)
        app = application(Parts(asker, batcher, databases, Feedback(args.feedback), token))
        config = uvicorn.Config(
            app, http=Connection, ws="none", log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        host, port = listening.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{port}/{f'#token={token}' if token else ''}", flush=True)
        print(f"databases: {', '.join(databases.ids())}; policies: {', '.join(started.by_name)}", flush=True)
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        batcher.close()
        shown.close()
        voting.close()
        started.close()


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

"""Runs in the browser: curves, steps, groups, samples.

    python -m rl.view [RUNS …] [--port 7788] [--follow]      http://127.0.0.1:7788
    python -m rl.view [RUNS …] --export DIR                  the same as files; open DIR/index.html
    python -m rl.view [RUNS …] --inspect-logs DIR            samples as logs of inspect-ai: inspect view --log-dir DIR

Reads run directories only, never a process, so it is safe beside a run. From another machine: ssh -L
7788:localhost:7788 HOST.
"""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.command import CommandLine, check_folder, folder
from evaluation.errors import UserError, exit_on_user_error

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = CommandLine("rl.view", (__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=folder, nargs="*", help="folders of runs, or runs (default: runs)")
    parser.add_argument("--data", type=folder, metavar="DIR", help="folder of the benchmark, for schemas and rows")
    parser.add_argument("--port", type=_port, default=7788, help="0: a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; others than loopback need a token")
    parser.add_argument("--token", help="what a browser must show; one is made where it is needed")
    parser.add_argument("--follow", action="store_true", help="pages refresh themselves while a run writes")
    parser.add_argument("--control", action="store_true", help="start and stop runs from the page; always by a token")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write static files instead of serving")
    parser.add_argument("--inspect-logs", type=Path, metavar="DIR", help="write logs of inspect-ai instead of serving")
    args = parser.parse_args(argv)
    roots = args.runs or [folder_of_runs(args.control)]
    if args.export:
        check_folder(args.export, "--export")
        from rl.view.export import export

        print(export(roots, args.export, args.data))
        return 0
    if args.inspect_logs:
        check_folder(args.inspect_logs, "--inspect-logs")
        from rl.view.inspect_logs import write_logs

        print(f"wrote {len(write_logs(roots, args.inspect_logs))} logs to {args.inspect_logs}")
        return 0
    token = args.token or ("" if args.host in LOOPBACK and not args.control else secrets.token_urlsafe(24))
    if args.token is not None and len(args.token) < 8:
        raise UserError(f"--token must have at least 8 characters, got {len(args.token)}")
    serve(roots, args.data, args.host, args.port, token, args.follow, args.control)
    return 0


def folder_of_runs(to_be: bool = False) -> Path:
    """runs/ here. to_be: it may come to be."""
    if not to_be and not Path("runs").is_dir():
        raise UserError("there is no folder runs here: name the folders of runs to show")
    return Path("runs")


def serve(
    roots: Sequence[Path], data: Path | None, host: str, port: int, token: str, follow: bool, control: bool
) -> None:
    """Until Ctrl-C. UserError when the port is taken."""
    import uvicorn

    from rl.view.control import Control
    from rl.view.pages import Pages
    from rl.view.server import app

    bound = listening(host, port)
    pages = Pages(roots, data)
    shown = "localhost" if host in LOOPBACK else host
    query = f"?token={token}" if token else ""
    print(f"http://{shown}:{bound.getsockname()[1]}/{query}", flush=True)
    config = uvicorn.Config(
        app(pages, token, follow, host, Control() if control else None), log_level="warning", access_log=False
    )
    try:
        uvicorn.Server(config).run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    finally:
        pages.close()


def listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        hint = "give another --port, or 0 for a free one" if port else "give another --host"
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from None


def _port(text: str) -> int:
    from argparse import ArgumentTypeError

    if not text.isdigit() or int(text) > 65535:
        raise ArgumentTypeError(f"must be a port from 0 to 65535, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

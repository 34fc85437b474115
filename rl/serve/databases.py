"""The databases that are served, by id. A request names an id, never a file: ids are looked up, not opened."""

from __future__ import annotations

import asyncio
import re
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from evaluation.databases.files import SQLITE_MAGIC, check_sqlite
from evaluation.errors import UserError
from graph.introspect import schema_from_sqlite

ENDINGS = (".sqlite", ".sqlite3", ".db")
MOST_UPLOADS = 20


class Unknown(UserError):
    """No database, or no policy, of this name."""


class Full(UserError):
    """As many uploads, or as many bytes, as are kept."""


class NotOffered(UserError):
    """What this server was not started for."""


class Databases:
    """Files by id. uploads: bytes that one uploaded file may have; 0: none is taken.

    Uploaded files lie in a folder of their own that goes with this object; their names on disk are drawn.
    """

    def __init__(self, files: Iterable[Path], uploads: int = 0) -> None:
        self._paths: dict[str, str] = {}
        self.uploads = uploads
        self._uploaded = 0
        self._folder = tempfile.TemporaryDirectory(prefix="rollsql-uploads-")
        self._lock = threading.Lock()
        for file in files:
            check_sqlite(file)
            self._add(file.stem, file)

    def ids(self) -> list[str]:
        return list(self._paths)

    def path(self, name: str) -> str:
        """The file of an id; of the only one, or the first, where none is named. Unknown when there is no such id."""
        if not name and self._paths:
            return next(iter(self._paths.values()))
        if name not in self._paths:
            raise Unknown(f"there is no database {name[:100]!r} here; there are {', '.join(self._paths) or 'none'}")
        return self._paths[name]

    def is_upload(self, path: str) -> bool:
        return Path(self._folder.name) in Path(path).parents

    def name(self, name: str) -> str:
        """The id that `path` takes."""
        self.path(name)
        return name or next(iter(self._paths))

    async def upload(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Keeps a database and returns its id. UserError when it is none, or too large; Full."""
        if not self.uploads:
            raise NotOffered("this server takes no databases: start it with --uploads")
        with self._lock:
            if self._uploaded >= MOST_UPLOADS:
                raise Full(f"{MOST_UPLOADS} databases have been uploaded, and no more are kept; start the server again")
            self._uploaded += 1
        file = Path(self._folder.name) / f"{secrets.token_hex(16)}.sqlite"
        try:
            await self._receive(file, chunks)
            return await asyncio.to_thread(self._checked, name, file)  # a hostile file takes its time
        except BaseException:
            file.unlink(missing_ok=True)
            with self._lock:
                self._uploaded -= 1
            raise

    def close(self) -> None:
        self._folder.cleanup()

    async def _receive(self, file: Path, chunks: AsyncIterator[bytes]) -> None:
        size = 0
        with file.open("xb") as out:
            async for chunk in chunks:
                if size == 0 and chunk and not SQLITE_MAGIC.startswith(chunk[: len(SQLITE_MAGIC)]):
                    raise UserError("the file must be an SQLite 3 database, and does not begin like one")
                size += len(chunk)
                if size > self.uploads:
                    raise Full(f"a database must have at most {self.uploads // 2**20} MiB to be uploaded here")
                out.write(chunk)

    def _checked(self, name: str, file: Path) -> str:
        try:
            check_sqlite(file)
            schema_from_sqlite(file)
        except ValueError as error:  # names the file, which is nobody's business
            raise UserError(str(error).replace(str(file), "the file")) from None
        return self._add(Path(name).stem, file)

    def _add(self, stem: str, file: Path) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", stem)[:60].strip("._") or "database"
        with self._lock:
            found, again = plain, 2
            while found in self._paths:
                found, again = f"{plain}-{again}", again + 1
            self._paths[found] = str(file.absolute())
        return found


def found(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those in the folders named, also a folder each as Spider has them. UserError: none."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(file for file in (*path.glob("*"), *path.glob("*/*")) if file.suffix in ENDINGS)
        if path.is_dir() and not inside:
            raise UserError(f"--database {path} must be a SQLite file, or a folder with some ({', '.join(ENDINGS)})")
        files += inside if path.is_dir() else [path]
    return files

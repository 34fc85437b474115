"""Where the database of a question is: a file, a script to build, a schema without rows, or nowhere."""

from __future__ import annotations

import logging
from pathlib import Path

from evaluation.benchmarks.layout import Layout, Source
from evaluation.databases.files import build_database, check_sqlite
from evaluation.text_files import read_text
from graph.linearize import ddl
from graph.schema import SchemaError
from graph.tables_json import Entry, entries

log = logging.getLogger(__name__)


class Databases:
    """Where the database of each question is, looked up once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[tuple[Source, str], str] = {}
        self._tables: dict[Path, dict[str, Entry]] = {}

    def of(self, source: Source, db_id: str) -> str:
        """A path, CREATE TABLE statements, or "". UserError when a file there is no database."""
        key = (source, db_id)
        if key not in self._known:
            self._known[key] = self._find(source, db_id)
        return self._known[key]

    def _find(self, source: Source, db_id: str) -> str:
        path = source.find(*self._layout.databases, db_id=db_id)
        if path is not None and path.suffix == ".sql":
            path = build_database(path)
        if path is not None:
            check_sqlite(path)
            return str(path.absolute())
        if made := self._layout.make and self._layout.make(source, db_id):
            return made
        declared = source.find(*self._layout.schemas, db_id=db_id)
        return read_text(declared) if declared else self._from_tables_json(source, db_id)

    def _from_tables_json(self, source: Source, db_id: str) -> str:
        path = source.find(*self._layout.tables)
        if path is None:
            return ""
        try:
            if path not in self._tables:
                self._tables[path] = entries(path)
            entry = self._tables[path].get(db_id)
            return ddl(entry.schema()) if entry else ""
        except SchemaError as error:
            log.warning("%s", error)
            return ""

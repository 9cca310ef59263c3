"""Write and read the file of results, `results.jsonl`. Errors name the line and what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastsam_bench.errors import ResultsFileError, ResultsLineError, ResultsSchemaError
from fastsam_bench.results.records import KINDS, SCHEMA, Cell, End, Failed, Record, Run
from fastsam_bench.results.runs import BenchRun, Results
from fastsam_engine.errors import OutputError
from fastsam_engine.spec.json_reader import parse_json, read_json

_DIGITS = 7  # significant digits of numbers in the file: more than any clock has


class ResultsWriter:
    """Appends the records of a run to a file, one flushed line per record."""

    def __init__(self, path: Path, run: str) -> None:
        """Open the file, and remove an unfinished last line of an earlier run.

        Args:
            path: The file; created if it does not exist.
            run: Id of the run.

        Raises:
            OutputError: The file can't be written.
        """
        self._run = run
        self._path = path
        try:
            self._file = path.open("ab+", buffering=0)
            self._drop_unfinished_line()
        except OSError as error:
            raise OutputError(path, f"it can't be written ({error.strerror})") from error

    def write(self, record: Record) -> None:
        """Write a record as one line.

        Raises:
            OutputError: The file can't be written, for example because the disk is full.
            ValueError: A number is not finite.
        """
        fields = _rounded(dataclasses.asdict(record))
        line = {"schema": SCHEMA, "run": self._run, "kind": record.kind, **fields}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        rest = memoryview(f"{text}\n".encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise OutputError(self._path, f"it can't be written ({error.strerror})", "make room") from error

    def close(self) -> None:
        """Close the file. All its lines are complete at any time."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop_unfinished_line(self) -> None:
        self._file.seek(0)
        text = self._file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            self._file.truncate(whole)


def read_results(paths: Path | Iterable[Path]) -> Results:
    """Read files of results, which may contain several runs each.

    An incomplete last line, lines of other scripts, and unknown kinds and fields are left out, with a note.

    Raises:
        ResultsFileError: A file can't be read.
        ResultsSchemaError: A line has another schema.
        ResultsLineError: A line is not JSON, or does not fit its kind or its run.
    """
    runs: dict[str, BenchRun] = {}
    notes: list[str] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        for name, run in _read_file(path, notes).items():
            if name in runs:
                notes.append(f"{path.name}: run {name} was read before and is left out")
            else:
                runs[name] = run
    return Results(tuple(sorted(runs.values(), key=lambda run: run.run.time)), tuple(notes))


def _read_file(path: Path, notes: list[str]) -> dict[str, BenchRun]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ResultsFileError(path, "a file of results", error.strerror or "nothing that can be read") from error
    found: dict[str, list[Record]] = {}
    left_out: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        document = _document(path, number, line, last=number == len(lines))
        if document is None:
            notes.append(f"{path.name}: the last line is incomplete and was left out")
        elif "schema" not in document:
            left_out["lines of other scripts"] += 1
        else:
            _check_schema(path, number, document)
            _take(path, number, document, found, left_out)
    notes.extend(f"{path.name}: {count} {what} left out" for what, count in left_out.items())
    return {name: _run(name, path, records) for name, records in found.items()}


def _document(path: Path, number: int, line: bytes, *, last: bool) -> dict[str, Any] | None:
    """The object of a line; None if the file ends within it."""
    try:
        document = parse_json(line)
    except ValueError as error:
        if last:  # no newline follows: the writer was stopped
            return None
        cut = line.startswith(b"{") and not line.rstrip().endswith(b"}")
        found = "an incomplete line" if cut else f"no JSON ({error})"
        raise ResultsLineError(path, number, "a JSON object", found) from error
    if not isinstance(document, dict):
        raise ResultsLineError(path, number, "a JSON object", type(document).__name__)
    return document


def _check_schema(path: Path, number: int, document: dict[str, Any]) -> None:
    schema = document["schema"]
    if not isinstance(schema, str) or (schema != SCHEMA and not schema.startswith(f"{SCHEMA}.")):
        raise ResultsSchemaError(path, number, SCHEMA, schema)


def _take(
    path: Path, number: int, document: dict[str, Any], found: dict[str, list[Record]], left_out: Counter[str]
) -> None:
    """Read a line into the records of its run."""
    kind, name = document.get("kind"), document.get("run")
    if not isinstance(kind, str) or not isinstance(name, str):
        raise ResultsLineError(path, number, "kind and run, two texts", f"{kind!r} and {name!r}")
    records = found.get(name)
    if kind == Run.kind and records:
        raise ResultsLineError(path, number, f"one line of kind run for run {name!r}", "a second")
    if kind != Run.kind and not records:
        raise ResultsLineError(path, number, f"a line of kind run before the others of run {name!r}", kind)
    if kind not in KINDS:
        left_out[f"lines of the unknown kind {kind!r}"] += 1
        return
    unknown: list[str] = []
    fields = {key: value for key, value in document.items() if key not in {"schema", "run", "kind"}}
    try:
        record = read_json(KINDS[kind], fields, kind, unknown)
    except ValueError as error:
        raise ResultsLineError(path, number, f"a line of kind {kind}", str(error)) from error
    for field in unknown:
        left_out[f"unknown fields {field}"] += 1
    measured = (Cell, Failed)
    if isinstance(record, measured) and any(isinstance(r, measured) and r.id == record.id for r in records or ()):
        raise ResultsLineError(path, number, f"each cell once in run {name!r}", f"{record.id} again")
    found.setdefault(name, []).append(record)


def _run(name: str, path: Path, records: Sequence[Record]) -> BenchRun:
    head, *rest = records
    assert isinstance(head, Run)
    ends = [record for record in rest if isinstance(record, End)]
    return BenchRun(name, path.name, head, tuple(rest), ends[-1] if ends else None)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value

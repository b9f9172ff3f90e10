"""Annotated games as a Parquet file, a row a move."""
from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lc0rocm import report
from lc0rocm._core import Error

if TYPE_CHECKING:
    import pyarrow

_ROWS = 50_000  # of a row group: what is held in memory
_HEADERS = ("Event", "Site", "Date", "Round", "White", "Black", "Result", "WhiteElo", "BlackElo", "ECO", "TimeControl", "Variant")


def require() -> None:
    """Raises Error where no such file could be written: before the work that it would hold."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise Error(".parquet files need the Python package pyarrow: pip install 'lc0rocm[parquet]'") from None


def schema() -> "pyarrow.Schema":
    """The columns. docs/annotate.md says what each is."""
    import pyarrow as pa
    text, whole, real = pa.string(), pa.int32(), pa.float32()
    return pa.schema([
        ("game", pa.int64()), ("annotator", text), *((name, text) for name in _HEADERS),
        ("ply", whole), ("color", text), ("san", text), ("uci", text), ("fen", text),
        ("q", real), ("cp", whole), ("mate", whole), ("wdl_win", real), ("wdl_draw", real), ("wdl_loss", real),
        ("loss", real), ("judgement", text), ("phase", text), ("best_move", text), ("best", pa.list_(text)), ("book", pa.bool_()), ("tables", text),
        ("human_move", text), ("human_probability", real), ("human_loss", real), ("human_played", real),
        ("clock", real), ("nags", pa.list_(whole)), ("comment", text)])


def write(part: str, goal: str, games: int) -> None:
    """part: packed JSON lines of so many games."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    columns, rows = schema(), list[dict[str, Any]]()
    with pq.ParquetWriter(goal + ".part.new", columns, compression="zstd") as writer, report.progress("writing", games) as step:
        with gzip.open(part, "rt", encoding="utf-8") as lines:
            for line in lines:
                rows += _rows(json.loads(line))
                step()
                if len(rows) >= _ROWS:
                    writer.write_table(pa.Table.from_pylist(rows, columns))
                    rows = []
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, columns))
    os.replace(goal + ".part.new", goal)


def _rows(game: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """By column; one that is not there is null."""
    known = {"game": game["game"], "annotator": game["annotator"]} | {name: game["headers"].get(name) for name in _HEADERS}
    for move in game["moves"]:
        win, draw, loss = move.get("wdl", (None, None, None))
        human = {f"human_{key}": value for key, value in move.get("human", {}).items()}
        yield known | move | human | {"color": "black" if move["fen"].split()[1] == "w" else "white", "cp": move["score"].get("cp"),
                                      "mate": move["score"].get("mate"), "wdl_win": win, "wdl_draw": draw, "wdl_loss": loss,
                                      "human_move": human.get("human_uci")}

"""One table writer, one JSON writer, one progress bar: results go to standard output, progress to standard error."""
import contextlib
import json
import sys
from typing import Any, Callable, Iterator, Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Text columns: numbers to the right, words to the left."""
    cells = [[format(cell, ".4g") if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    right = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        padded = [cell.rjust(width) if number else cell.ljust(width) for cell, width, number in zip(row, widths, right)]
        return "  ".join(padded).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def write_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def note(line: str) -> None:
    """Tells a person why nothing happens for a while."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(title: str, total: int, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each of `total` steps. Shows a bar only to a person: on a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)

"""One table writer, one JSON writer, one progress bar: results go to standard output, progress to standard error."""
import contextlib
import json
import math
import os
import sys
import threading
import time
from typing import IO, Any, Callable, Iterator, NamedTuple, Sequence, cast


class Progress(NamedTuple):
    """How far a stage of long work is."""
    stage: str
    done: int
    total: int
    seconds: float  # since its begin
    before: int = 0  # what was done then

    def __str__(self) -> str:
        text = f"{self.stage}: {self.done}/{self.total}"
        if self.before < self.done < self.total:
            text += f", about {self.seconds / (self.done - self.before) * (self.total - self.done):.0f} s left"
        return text


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Text columns: numbers to the right, words to the left."""
    cells = [[format(cell, ".4g") if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    right = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        padded = [cell.rjust(width) if number else cell.ljust(width) for cell, width, number in zip(row, widths, right)]
        return "  ".join(padded).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def printable(text: str) -> str:
    """One line that a terminal and a protocol of lines take as text, whatever a downloaded network or the name of a file holds."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def write_json(value: Any) -> None:
    """As the standard has it: a number that is none, or infinite, is null."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(line: str) -> None:
    """To whoever started the program, beside its results."""
    if sys.stderr is not None:
        _tell(f"lc0rocm: {printable(line)}")


def note(line: str) -> None:
    """Tells a person why nothing happens for a while."""
    if sys.stderr.isatty():
        _tell(line)


def _tell(line: str) -> None:
    with _unheard():
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """A terminal that is gone, or a full disk with a log, ends no work: from then on nothing is told."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)  # where the rest of the buffer goes, too
        os.close(nowhere)


class _Terminal:
    """Standard error as it is now, for bars, which are drawn in a thread of their own."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> None:
        with _unheard():
            self._stream.write(text)

    def flush(self) -> None:
        with _unheard():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def as_lines(say: Callable[[str], None], every_s: float = 2.0) -> Callable[[Progress], None]:
    """A listener that says each stage's begin and end, and between them how it goes, so often at most."""
    last: dict[str, float] = {}
    lock = threading.Lock()

    def tell(news: Progress) -> None:
        with lock:
            due = news.done in (0, news.total) or time.monotonic() - last.get(news.stage, 0) >= every_s
            if due:
                last[news.stage] = time.monotonic()
        if due:
            say(str(news))

    return tell


@contextlib.contextmanager
def stages(wanted: bool = True) -> Iterator[Callable[[Progress], None]]:
    """Yields a listener that shows a bar a stage; several may run at once. Only to a person: on a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield lambda _: None
        return
    with _bar(transient=False) as bar:
        tasks: dict[str, Any] = {}
        lock = threading.Lock()

        def tell(news: Progress) -> None:
            with lock:
                if news.stage not in tasks:
                    tasks[news.stage] = bar.add_task(news.stage, total=news.total)
                bar.update(tasks[news.stage], completed=news.done)

        yield tell


def _bar(transient: bool, counts: bool = True):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bars, TaskProgressColumn, TextColumn, TimeRemainingColumn
    columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn() if counts else TaskProgressColumn(), TimeRemainingColumn()
    return Bars(*columns, console=Console(file=cast(IO[str], _Terminal())), transient=transient)


@contextlib.contextmanager
def progress(title: str, total: int, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each of `total` steps. Shows a bar on a terminal, a line now and then elsewhere."""
    if not wanted:
        yield lambda: None
        return
    if not sys.stderr.isatty():
        yield _Lines(title, total).step
        return
    with _bar(transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


@contextlib.contextmanager
def amount(title: str, total: int, unit: str, wanted: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Like progress(), for steps whose number is not known: yields a function that takes how much of `total`, as of a file, is done, and
    how many steps that was. Tells steps a second, too. What the first call says is done may be the work of another time."""
    start = time.monotonic()
    with standing(title, total, wanted, counts=False) as tell:
        yield lambda done, steps: tell(done, f"{steps} {unit}, {steps / max(time.monotonic() - start, 1e-9):.1f}/s")


@contextlib.contextmanager
def standing(title: str, total: int, wanted: bool = True, counts: bool = True) -> Iterator[Callable[[int, str], None]]:
    """Like progress(): yields a function that takes how much of `total` is done, and words about how it stands. counts: the number that is
    done is worth telling."""
    if not wanted:
        yield lambda done, words: None
    elif not sys.stderr.isatty():
        lines = _Lines(title, total)
        yield lambda done, words: lines.reach(done, f" ({words})")
    else:
        with _bar(transient=True, counts=counts) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done, words: bar.update(task, completed=done, description=f"{title}: {words}")


_BETWEEN_LINES_S = 5.0


class _Lines:
    """Steps of long work, told in a line now and then."""

    def __init__(self, title: str, total: int):
        self._title, self._total, self._done = title, total, 0
        self._start = self._told = time.monotonic()
        self._before: int | None = None

    def step(self) -> None:
        self._before = 0
        self.reach(self._done + 1)

    def reach(self, done: int, more: str = "") -> None:
        now, self._done = time.monotonic(), done
        if self._before is None:
            self._before, self._start = done, now
        if now >= self._told + _BETWEEN_LINES_S:
            self._told = now
            _tell(f"{Progress(self._title, done, self._total, now - self._start, self._before)}{more}")

"""A UCI engine of any kind as a player: python-chess speaks with it. Whatever it does wrong costs it the game, and it is started anew for the
next one."""
from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import chess
import chess.engine

from lc0rocm import report
from lc0rocm._core import Error
from lc0rocm.engine.request import Position, Request
from lc0rocm.games.player import CRASH, ILLEGAL, SILENT, TIME, Fault, Found

_START_S = 30.0
_READY_S = 30.0
_LATE_S = 2.0  # after its time is over: then it is a question of how late


class Foreign:
    """command: words; options: UCI options by name; silence_s: after which a side without a clock has lost. Raises Error where the engine does
    not start or takes no such options."""

    def __init__(self, command: Sequence[str], options: Mapping[str, str], name: str = "", silence_s: float = 120.0):
        self._command, self._options, self._silence_s = list(command), dict(options), silence_s
        self.name = name or os.path.basename(command[0])
        self._engine: chess.engine.SimpleEngine | None = None
        self._words: IO[bytes] = tempfile.TemporaryFile()  # what it says on standard error
        self._board, self._game = chess.Board(), object()
        self._start()
        if not name:
            self.name = report.printable(self._running.id.get("name") or self.name)

    @property
    def _running(self) -> chess.engine.SimpleEngine:
        assert self._engine, "it was started"
        return self._engine

    @property
    def threads(self) -> int:
        """That it searches with."""
        value = next((value for name, value in self._options.items() if name.lower() == "threads"), "")
        default = self._running.options["Threads"].default if "Threads" in self._running.options else 1
        return int(value) if value.isdigit() else int(default or 1) if isinstance(default, (int, str)) else 1

    def plays_chess960(self) -> bool:
        return "UCI_Chess960" in self._running.options

    def new_game(self, chess960: bool) -> None:
        if not self._engine:
            self._start()
        self._game, self._board = object(), chess.Board(None, chess960=chess960)
        with self._faults(SILENT):
            self._ask(_begin(self._running.protocol, self._game), _READY_S)  # here, where no clock runs

    def find(self, position: Position, request: Request) -> Found:
        board = self._place(position)
        is_timed = (request.movetime, request.wtime, request.btime) != (None, None, None)
        with self._faults(TIME if is_timed else SILENT):
            played = self._ask(self._running.protocol.play(board, _limit(request), game=self._game, info=chess.engine.INFO_ALL),
                               self._patience_s(request, board.turn))
            if not played.move:
                raise chess.engine.EngineError("none")
        info = played.info
        return Found(board.uci(played.move, chess960=True), _score(info), info.get("depth"), info.get("nodes"))

    @contextlib.contextmanager
    def _faults(self, silence: str) -> Iterator[None]:
        """What goes wrong is the engine's fault, and it is not used any more. silence: the kind that it is to say nothing."""
        try:
            yield
        except asyncio.TimeoutError:
            self.close()
            raise Fault(silence, "does not answer") from None
        except chess.engine.EngineTerminatedError:
            words = self._exit_code() + self._last_words()
            self.close()
            raise Fault(CRASH, f"has ended in the middle of the game{words}") from None
        except (chess.engine.EngineError, ValueError) as error:
            self.close()
            raise Fault(ILLEGAL, f"gives no legal move: {report.printable(str(error))[:120]}") from None

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine:
            with contextlib.suppress(chess.engine.EngineError, OSError):
                engine.close()

    # ------------------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._words.seek(0)
        self._words.truncate()
        try:
            # A process group of its own: Ctrl-C is for the match, which then closes its engines.
            self._engine = chess.engine.SimpleEngine.popen_uci(self._command, timeout=_START_S, setpgrp=True, stderr=self._words)
            self._ask(self._running.protocol.configure(self._options), _READY_S)
        except asyncio.TimeoutError:
            raise self._not_started("it does not answer uci; is it a UCI engine?") from None
        except chess.engine.EngineTerminatedError:
            raise self._not_started("it ends before it answers uci" + self._last_words()) from None
        except (chess.engine.EngineError, ValueError) as error:
            raise self._not_started(report.printable(str(error))) from None
        except OSError as error:
            raise self._not_started(error.strerror or str(error)) from None

    def _not_started(self, why: str) -> Error:
        self.close()
        return Error(f"{self.name} ({' '.join(self._command)[:120]}) cannot play: {why}")

    def _ask(self, coroutine, patience_s: float):
        """What comes of a coroutine of the engine's, in so much time."""
        waiting = asyncio.wait_for(coroutine, patience_s)
        return asyncio.run_coroutine_threadsafe(waiting, self._running.protocol.loop).result()

    def _place(self, position: Position) -> chess.Board:
        known = len(self._board.move_stack)
        if not known:
            self._board.set_fen(position.fen)
        for word in position.moves[known:]:
            self._board.push(self._board.parse_uci(word))
        return self._board

    def _patience_s(self, request: Request, white: bool) -> float:
        own = request.wtime if white else request.btime
        times = [time / 1000 + _LATE_S for time in (request.movetime, own) if time is not None]
        return min([*times, self._silence_s]) if times else self._silence_s

    def _exit_code(self) -> str:
        with contextlib.suppress(Exception):
            return f" with exit code {self._running.returncode.result(1)}"
        return ""

    def _last_words(self) -> str:
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - 2000))
        lines = self._words.read().decode("utf-8", "replace").strip().splitlines()
        return f"; its last words: {report.printable(lines[-1])[:200]}" if lines else ""


async def _begin(protocol: chess.engine.Protocol, game: object) -> None:
    """A new game; python-chess would tell the engine of it when the clock runs already."""
    assert isinstance(protocol, chess.engine.UciProtocol)
    protocol.send_line("ucinewgame")
    protocol.first_game, protocol.game = False, game
    await protocol.ping()


def _limit(request: Request) -> chess.engine.Limit:
    def seconds(milliseconds: int | None) -> float | None:
        return None if milliseconds is None else milliseconds / 1000

    return chess.engine.Limit(time=seconds(request.movetime), depth=request.depth, nodes=request.nodes, white_clock=seconds(request.wtime),
                              black_clock=seconds(request.btime), white_inc=seconds(request.winc), black_inc=seconds(request.binc),
                              remaining_moves=request.movestogo)


def _score(info: chess.engine.InfoDict) -> tuple[str, int] | None:
    if "score" not in info:
        return None
    score = info["score"].relative
    mate = score.mate()
    if mate is not None:
        return "mate", mate
    value = score.score()
    return None if value is None else ("cp", value)

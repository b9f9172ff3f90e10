"""Our engine as a player of this process: as it plays over UCI, its time management and all, but without a pipe and without a thread of its own."""
from __future__ import annotations

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm.engine import scores
from lc0rocm.engine.play import Player
from lc0rocm.engine.request import Position, Request
from lc0rocm.engine.run import Voice
from lc0rocm.engine.shared import Shared, SharedBackEnd
from lc0rocm.games.player import Found
from lc0rocm.options import Settings


class Ours:
    """name: for people; settings: all options of the engine; shared: the back end, of any number of players; cache: of all that have this
    back end and these options; on_a_clock: what the first move needs is made ready before, for which hundreds of players have no memory."""

    def __init__(self, name: str, settings: Settings, shared: Shared, cache: _core.Cache, on_a_clock: bool = False):
        self.name = name
        self._settings, self._is_closed = settings, False
        self.player = Player(Voice(settings, _nobody, _nobody), SharedBackEnd(shared, _nobody), cache=cache)
        if on_a_clock:
            self.player.ready()

    def new_game(self, chess960: bool) -> None:
        self.player.new_game()

    def find(self, position: Position, request: Request) -> Found:
        task = self.player.task(request, position)
        loaded = task.loaded
        assert loaded, "there is a move"
        if task.ask:
            choice = task.choose(loaded)
            return Found(choice.move, choice.score(), 1, choice.evaluations)
        task.start(loaded)
        if self._is_closed:  # before there was a search to stop
            task.search.stop()
        move = task.search.result()["best_move"]
        update = task.ended(True)
        if self._is_closed:
            raise Error("the match has been stopped")
        score = scores.score(update["pvs"][0], self._settings["ScoreType"], loaded.backend.info["wdl"])
        return Found(move, score, update["depth"], update["nodes"])

    def close(self) -> None:
        self._is_closed = True
        self.player.tree.search.stop()


def _nobody(_: object) -> None:
    """What would be said to a GUI is said to nobody."""

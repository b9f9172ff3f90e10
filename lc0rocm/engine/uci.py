"""The UCI protocol: text in, calls on the player, text out. A bad line costs one `info string`, never the engine.

The loop answers at once while a search runs, since searches report from a thread of their own; only loading a network
makes it wait, and that happens at isready, or at a go without one."""
import os
import re
import sys
import threading
import time
from typing import BinaryIO, Sequence

from lc0rocm import _core
from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.options import HIDDEN, WITHOUT_EFFECT, Settings, cache_entries
from lc0rocm.engine.play import Player, Request, check_settings

_MAX_LINE = 1 << 20  # bytes; a game of 500 moves has 5 KB
_MAX_NUMBER = 2**53  # of `go`, beyond which everything means "no limit"


def run(settings: Settings, show_hidden: bool, first_lines: Sequence[str] = ()) -> int:
    """Speaks UCI on standard input and output until quit or the end of the input. first_lines are sent before."""
    uci = Uci(settings, show_hidden)
    if first_lines:
        uci.send(first_lines)
    if settings["preload"]:
        uci.handle("isready")
    try:
        for line in _lines(sys.stdin.buffer):
            if not uci.handle(line):
                break
    except KeyboardInterrupt:
        pass
    uci.player.stop()  # a search that still runs says its bestmove
    uci.player.wait()
    return 0


def _lines(stream: BinaryIO):
    """The lines of a stream, whatever bytes they hold; what is beyond _MAX_LINE of a line is dropped."""
    while data := stream.readline(_MAX_LINE):
        rest = data
        while len(rest) == _MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(_MAX_LINE)
        yield data.decode("utf-8", "replace")


class Uci:
    def __init__(self, settings: Settings, show_hidden: bool):
        self.settings, self.show_hidden = settings, show_hidden
        self._lock = threading.Lock()
        self._log_name, self._log = "", None
        self.player = Player(settings, self.send, self.log)

    # output ----------------------------------------------------------------------------------------------------------

    def send(self, lines: Sequence[str]) -> None:
        """Writes lines in one piece, at once."""
        data = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
        with self._lock:
            try:
                while data:
                    data = data[os.write(1, data):]
            except OSError:
                pass  # nobody listens any more: the input ends soon
            self._write_log("<", lines)

    def log(self, lines: Sequence[str]) -> None:
        with self._lock:
            self._write_log("<", lines)

    def _write_log(self, mark: str, lines: Sequence[str]) -> None:
        name = self.settings["LogFile"]
        try:
            if name != self._log_name:
                if self._log not in (None, sys.stderr):
                    self._log.close()
                self._log_name, self._log = name, None
                if name:
                    self._log = sys.stderr if name == "<stderr>" else open(name, "a", encoding="utf-8")
            if self._log:
                now = time.time()
                stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
                self._log.writelines(f"{stamp} {mark} {line}\n" for line in lines)
                self._log.flush()
        except (OSError, ValueError):
            self._log = None  # a full disk or a bad name is no reason to stop playing

    def _complain(self, text: str) -> None:
        self.send(["info string error: " + "".join(c if c.isprintable() else "?" for c in text)])

    # input -----------------------------------------------------------------------------------------------------------

    def handle(self, line: str) -> bool:
        """Acts on one line; False for quit."""
        line = line.strip()
        command, _, rest = line.partition(" ")
        if not command:
            return True
        with self._lock:
            self._write_log(">", [line])
        if command == "quit":
            return False
        action = self._COMMANDS.get(command)
        try:
            if not action:
                raise Error(f"unknown command '{line[:60]}'; there are {', '.join(self._COMMANDS)}, quit")
            action(self, rest.strip())
        except Error as error:
            self._complain(str(error))
        except Exception as error:  # a mistake of ours must not lose somebody's game
            self._complain(f"internal error in '{line[:60]}': {type(error).__name__}: {error}")
        return True

    def _uci(self, rest: str) -> None:
        lines = [f"id name lc0rocm {VERSION} (Lc0-compatible)", "id author the lc0rocm authors"]
        for option in self.settings.options:
            if option.name and (self.show_hidden or option.show != HIDDEN):
                lines.append(option.uci_line(self.settings[option.key]))
        self.send([*lines, "uciok"])

    def _isready(self, rest: str) -> None:
        if not self.player.running:
            self.player.ready()
            try:
                self.player.load()
            except Error as error:
                self._complain(str(error))
        self.send(["readyok"])

    def _setoption(self, rest: str) -> None:
        match = re.fullmatch(r"name\s+(\S.*?)(?:\s+value(?:\s+(.*))?)?", rest)
        if not match:
            raise Error("write: setoption name NAME value VALUE")
        name, value = match[1], match[2] or ""
        value = "" if value == "<empty>" else value
        if name.lower() == "hash":
            name, value = "NNCacheSize", str(cache_entries(value))
        option = self.settings.option(name)
        if not option:
            if name.lower() in (other.lower() for other in WITHOUT_EFFECT):
                self.send([f"info string {name} has no effect in this engine"])
                return
            raise Error(f"there is no option '{name[:60]}'")
        before = self.settings[option.key]
        self.settings.set(option, value)
        try:
            check_settings(self.settings)
        except Error:
            self.settings.values[option.key] = before
            raise
        self.player.option_changed(option)

    def _ucinewgame(self, rest: str) -> None:
        self.player.new_game()

    def _position(self, rest: str) -> None:
        words = rest.split()
        at = words.index("moves") if "moves" in words else len(words)
        start, moves = words[:at], words[at + 1:]
        if start == ["startpos"]:
            fen = _core.STARTPOS
        elif start[:1] == ["fen"]:
            fen = " ".join(start[1:]) or _core.STARTPOS
        else:
            raise Error("write: position startpos, or position fen FEN, then moves MOVE ... if there are any")
        self.player.position(fen, moves)

    def _go(self, rest: str) -> None:
        words, found = rest.split(), {}
        while words:
            word = words.pop(0)
            if word in ("infinite", "ponder"):
                found[word] = True
            elif word == "searchmoves":
                end = next((i for i, other in enumerate(words) if other in Request._fields), len(words))
                found[word], words = tuple(words[:end]), words[end:]
            elif word in Request._fields:
                found[word] = _number(word, words.pop(0) if words else "")
            else:
                raise Error(f"go does not know '{word[:60]}'; it knows {', '.join(Request._fields)}")
        self.player.go(Request(**found))

    def _stop(self, rest: str) -> None:
        self.player.stop()

    def _ponderhit(self, rest: str) -> None:
        self.player.ponderhit()

    def _wait(self, rest: str) -> None:
        self.player.wait()

    _COMMANDS = {"uci": _uci, "isready": _isready, "setoption": _setoption, "ucinewgame": _ucinewgame,
                 "position": _position, "go": _go, "stop": _stop, "ponderhit": _ponderhit, "wait": _wait}


def _number(word: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise Error(f"go {word} needs a whole number, not '{text[:60]}'")
    value = min(int(digits), _MAX_NUMBER) if len(digits) < 20 else _MAX_NUMBER
    return -value if text.startswith("-") else value

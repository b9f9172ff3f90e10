"""The UCI protocol: text in, calls on the player, text out. A bad line costs one `info string`, never the engine.

The loop answers at once while a search runs, since searches report from a thread of their own; only loading a network
makes it wait, and that happens at isready, or at a go without one."""
import _thread
import errno
import os
import re
import signal
import threading
from typing import Callable, Iterable, Protocol, Sequence

from lc0rocm._core import Error
from lc0rocm._version import VERSION
from lc0rocm.engine.play import Player, check_settings
from lc0rocm.engine.request import read_go, read_position
from lc0rocm.engine.run import Voice
from lc0rocm.engine.stream import Input, Log, Output
from lc0rocm.option import HIDDEN, NEVER, START, Option, Settings, without_quotes


def run(settings: Settings, show_hidden: bool, first_lines: Sequence[str] = ()) -> int:
    """Speaks UCI on standard input and output until quit, an interrupt or the end of the input, and says the bestmove that is due.
    first_lines are sent before. Raises Error where input or output fail."""
    commands, uci = Input(), Uci(settings, show_hidden, Output())
    end = ending(commands, uci)
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as who wants Ctrl-C for himself alone starts us
        # A handler runs between any two steps of this thread, which may hold any lock: so another thread acts.
        signal.signal(signal.SIGINT, lambda *_: _thread.start_new_thread(end, ()))
    try:
        uci.open_log()
        if first_lines:
            uci.send(first_lines)
        if settings["preload"]:
            uci.load()
        converse(commands, uci)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN if commands.ended else before)  # one interrupt is enough to end in peace
        uci.player.back_end.close()
    failure = uci.output.failure
    if failure and failure.errno != errno.EPIPE:  # else the reader has gone, as GUIs do
        raise Error(f"cannot write to standard output: {failure.strerror}")
    return 0


def ending(commands: Input, uci: "Uci") -> Callable[[], None]:
    """What ends a conversation from any thread; done, too, if the output fails."""
    def end() -> None:
        commands.end()
        uci.player.stop()

    uci.output_failed = end
    return end


def converse(commands: Input, uci: "Uci") -> None:
    """Until quit or the end of the commands, and until the bestmove that is due is out."""
    if any(not uci.handle(line, arrived) for line, arrived in commands) or commands.ended:
        uci.player.settle()
    else:
        uci.player.finish()


def _path(rest: str) -> str:
    if not (path := os.path.expanduser(without_quotes(rest.strip()))):
        raise Error("write: savetree FILE or loadtree FILE")
    return path


class Writer(Protocol):
    """What lines are sent to. failure: why that is not possible any more."""
    failure: OSError | None

    def write(self, lines: Sequence[str]) -> None: ...


def pattern(commands: Iterable[str]) -> re.Pattern[str]:
    """Of a line: what stands before the first of the commands, that, and the rest."""
    return re.compile(rf"(.*?)(?<!\S)({'|'.join(commands)}|go|ponderhit|quit)(?!\S)\s*(.*)", re.DOTALL)


class Uci:
    def __init__(self, settings: Settings, show_hidden: bool, output: Writer):
        self.settings, self.show_hidden = settings, show_hidden
        self.output, self._log = output, Log()
        self._writing, self._logging = threading.Lock(), threading.Lock()  # two: stop and quit act while lines wait for a reader
        self.player = Player(Voice(settings, self.send, self.log))
        self.output_failed = lambda: None

    # output ----------------------------------------------------------------------------------------------------------

    def send(self, lines: Sequence[str]) -> None:
        """Writes lines in one piece, at once."""
        with self._writing:
            self.output.write(lines)
            self.log(lines)
        if self.output.failure:
            self.output_failed()

    def log(self, lines: Sequence[str]) -> None:
        with self._logging:
            self._log.write("<", lines)

    def open_log(self) -> None:
        """The file that LogFile names. Says so if it cannot be written."""
        try:
            with self._logging:
                self._log.open(self.settings["LogFile"])
        except Error as error:
            self._complain(str(error))

    def _complain(self, text: str) -> None:
        self.send(["info string error: " + text])

    # input -----------------------------------------------------------------------------------------------------------

    def handle(self, line: str, arrived: float) -> bool:
        """Acts on one line, which came at `arrived` by time.monotonic(); False for quit."""
        if not line.strip():
            return True
        with self._logging:
            self._log.write(">", [line])
        match = self._COMMAND.match(line)
        before, command, rest = match.groups() if match else (line, "", "")
        if before.strip():  # UCI: an unknown word is skipped, and the rest of the line is read
            self._complain(f"unknown command '{line[:60]}'; there are {', '.join(self._COMMANDS)}, go, ponderhit, quit")
        if command == "quit":
            return False
        try:
            if command == "go":
                self._go(rest, arrived)
            elif command == "ponderhit":
                self.player.ponderhit(arrived)
            elif command:
                self._COMMANDS[command](self, rest)
        except Error as error:
            self._complain(str(error))
        except Exception as error:  # a mistake of ours must not lose somebody's game
            self._complain(f"internal error in '{line[:60]}': {type(error).__name__}: {error}")
        return True

    def load(self) -> None:
        try:
            self.player.ready()
        except Error as error:
            self._complain(str(error))

    def _uci(self, rest: str) -> None:
        lines = [f"id name lc0rocm {VERSION} (Lc0-compatible)", "id author the lc0rocm authors"]
        values = self.settings.tell()
        self.send([*lines, *(option.uci_line(values[option.key]) for option in self.listed()), "uciok"])

    def listed(self) -> Sequence[Option]:
        """The options that `uci` names."""
        return [option for option in self.settings.options if option.name and (self.show_hidden or option.show != HIDDEN)]

    def _isready(self, rest: str) -> None:
        try:
            self.load()
        finally:
            self.send(["readyok"])

    def _setoption(self, rest: str) -> None:
        match = re.fullmatch(r"name\s+(\S.*?)(?:\s+value(?:\s+(.*))?)?", rest)
        if not match:
            raise Error("write: setoption name NAME value VALUE")
        name, value = match[1], match[2] or ""
        value = "" if value == "<empty>" else value
        option = self.settings.option(name)
        if not option:
            raise Error(f"there is no option '{name[:60]}'")
        self.set_option(option, value)

    def set_option(self, option: Option, value: str) -> None:
        before = dict(self.settings.values)
        changed = self.settings.set(option, value)
        try:
            check_settings(self.settings)
        except Error:
            self.settings.values = before
            raise
        new = self.settings[changed.key]
        if changed.when == NEVER and new != changed.default:  # GUIs send defaults too
            self.send([f"info string {changed.name} has no effect in this engine"])
        elif changed.when == START and new != before[changed.key]:
            self.send([f"info string {changed.name} is read when the program starts: give it on the command line"])
        elif changed.name == "LogFile":
            self.open_log()
        self.player.option_changed(changed)

    def _position(self, rest: str) -> None:
        try:
            start, moves = read_position(rest)
        except Error as error:
            self.player.refuse_position(error)
            raise
        self.player.set_position(start, moves)

    def _go(self, rest: str, arrived: float) -> None:
        request, remarks = read_go(rest)
        for remark in remarks:
            self._complain(remark)
        self.player.go(request, arrived)

    _COMMANDS = {"uci": _uci, "isready": _isready, "setoption": _setoption, "position": _position,
                 "ucinewgame": lambda self, rest: self.player.new_game(),
                 # Not of UCI: a long analysis is kept.
                 "savetree": lambda self, rest: self.player.save_tree(_path(rest)),
                 "loadtree": lambda self, rest: self.player.load_tree(_path(rest)),
                 "stop": lambda self, rest: self.player.stop(),
                 "wait": lambda self, rest: self.player.wait(),
                 "debug": lambda self, rest: None,  # of UCI, without a use here
                 "register": lambda self, rest: None}
    _COMMAND = pattern(_COMMANDS)

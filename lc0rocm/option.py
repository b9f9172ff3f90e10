"""One option: what it takes, how it is read and advertised; and the present values of many."""
import math
import os
from typing import Any, Callable, NamedTuple

from lc0rocm import numerals
from lc0rocm._core import Error

ALWAYS, NORMAL, HIDDEN = "always", "normal", "hidden"  # who sees it listed; every option can be set by everybody
NOW, GO, POSITION, START = "at once", "next go", "next isready or go", "program start"
NEVER = "never"  # accepted for those who set it by habit

_WORDS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


class Alias(NamedTuple):
    """The option that another name stands for, and the way from one's values to the other's."""
    target: str
    into: Callable[[Any], Any] = lambda value: value
    back: Callable[[Any], Any] = lambda value: value


class Option(NamedTuple):
    name: str  # UCI name; "" for one that only the command line has
    flag: str  # long flag without its dashes; "" for one that only UCI has
    kind: str  # check, spin, float, string, path, combo, button
    default: Any
    help: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    short: str = ""
    show: str = NORMAL
    when: str = GO
    group: str = ""
    core: bool = False  # the core's search takes it, by this name
    in_nodes: bool = False  # the nodes of a tree hold what it says: after a change the tree is worth nothing
    alias: Alias | None = None

    @property
    def key(self) -> str:
        return self.name or self.flag

    def choice_list(self) -> tuple[str, ...]:
        return self.choices() if callable(self.choices) else self.choices

    def parse(self, text: str) -> Any:
        """The value that `text` means. Raises Error with what would be right."""
        try:
            return self._read(without_quotes(text.strip()))
        except (KeyError, ValueError):
            raise Error(f"{self.key} takes {self.domain()}, not '{text[:80]}'") from None

    def _read(self, text: str) -> Any:
        if self.kind == "check":
            return _WORDS[text.lower()]
        if self.kind in ("spin", "float"):
            value = numerals.integer(text) if self.kind == "spin" else numerals.real(text)
            if not self.low <= value <= self.high:
                raise ValueError(text)
            return value
        if self.kind == "combo":
            return {choice.lower(): choice for choice in self.choice_list()}[text.lower()]
        return os.path.expanduser(text) if self.kind == "path" else text

    def domain(self) -> str:
        """What it takes, in words."""
        if self.kind == "check":
            return "true or false"
        if self.kind in ("spin", "float"):
            number = "a whole number" if self.kind == "spin" else "a number"
            return f"{number} from {self.low:.10g} to {self.high:.10g}"
        if self.kind == "combo":
            return "one of " + ", ".join(self.choice_list())
        return {"path": "a path", "button": "nothing"}.get(self.kind, "text")

    def uci_line(self, value: Any) -> str:
        """The line that advertises it; the default is the present value."""
        head = f"option name {self.name} type "
        if self.kind == "check":
            return head + f"check default {str(value).lower()}"
        if self.kind == "spin":
            return head + f"spin default {value} min {self.low:.0f} max {self.high:.0f}"
        if self.kind == "float":
            return head + f"string default {value:.6f}"
        if self.kind == "combo":
            return head + f"combo default {value} " + " ".join("var " + choice for choice in self.choice_list())
        return head + ("button" if self.kind == "button" else f"string default {value}")


class Settings:
    """The present values of some options, by name (by flag for those without one)."""

    def __init__(self, options: tuple[Option, ...]):
        self.options = options
        self.values = {option.key: option.default for option in options if not option.alias}
        self._by_name = {option.name.lower(): option for option in options if option.name}
        self._told: dict[str, Any] = {}
        self._set_as: dict[str, str] = {}  # since then: the name by which each option was set last

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def option(self, name: str) -> Option | None:
        """By its UCI name in any case."""
        return self._by_name.get(" ".join(name.lower().split()))

    def value(self, option: Option) -> Any:
        """The present one, for another name as that name would say it."""
        return option.alias.back(self.values[option.alias.target]) if option.alias else self.values[option.key]

    def tell(self) -> dict[str, Any]:
        """The values of all, by name, for a GUI. Many send back every option at each game, also those that their user never touched: what
        comes back as it was told changes nothing that was set by another name of the same option."""
        self._told, self._set_as = {option.key: self.value(option) for option in self.options}, {}
        return self._told

    def set(self, option: Option, text: str) -> Option:
        """Sets it, or the option that it is another name of; returns the one that was set. Raises Error for a bad value."""
        value = None if option.kind == "button" else option.parse(text)
        target = self._by_name[option.alias.target.lower()] if option.alias else option
        is_no_news = self._set_as.get(target.key, option.key) != option.key and value == self._told.get(option.key)
        if not is_no_news and value != self.value(option):  # also: what is told rounded
            self.values[target.key] = option.alias.into(value) if option.alias else value
            self._set_as[target.key] = option.key
        return target


def without_quotes(text: str) -> str:
    """What may stand in them, a path for one."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def value_text(value: Any) -> str:
    """As it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) and math.isfinite(value) else str(value)

"""Command line flags to settings: --name=value, --name value, --name, --no-name, -x value; and the help text."""
import difflib
import textwrap
from typing import Sequence

from lc0rocm._core import Error
from lc0rocm.options import HIDDEN, WITHOUT_EFFECT, Option, Settings, value_text


def parse(arguments: Sequence[str], settings: Settings, warnings: list[str]) -> list[str]:
    """Sets what the flags say; the last one wins. Returns what is not a flag. Raises Error for a flag nobody knows or a
    value that does not fit; warnings gets a line for each flag that means nothing here."""
    by_flag = {option.flag: option for option in settings.options if option.flag}
    by_short = {option.short: option for option in settings.options if option.short}
    words, positional = list(arguments), []
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            positional.append(word)
        elif not word.startswith("--"):
            option = by_short.get(word[1:])
            if not option:
                raise _unknown(word, by_flag)
            if option.kind == "check":  # a short flag toggles
                settings.values[option.key] = not settings[option.key]
            else:
                settings.set(option, _next(words, word, option))
        else:
            flag, equals, value = word[2:].partition("=")
            if flag in by_flag:
                option = by_flag[flag]
                if not equals:
                    value = "true" if option.kind == "check" else _next(words, word, option)
                settings.set(option, value)
            elif flag.startswith("no-") and flag[3:] in by_flag and by_flag[flag[3:]].kind == "check" and not equals:
                settings.set(by_flag[flag[3:]], "false")
            elif flag.removeprefix("no-") in WITHOUT_EFFECT.values():
                warnings.append(f"--{flag} has no effect in this engine")
            else:
                raise _unknown(word, by_flag)
    return positional


def _next(words: list[str], word: str, option: Option) -> str:
    if not words or words[0].startswith("--"):
        raise Error(f"{word} needs a value: {option.domain()}")
    return words.pop(0)


def _unknown(word: str, by_flag: dict[str, Option]) -> Error:
    name = word.lstrip("-").partition("=")[0]
    by_name = {option.name.lower(): flag for flag, option in by_flag.items()}
    near = [by_name[name.lower()]] if name.lower() in by_name else difflib.get_close_matches(name, by_flag, 1)
    return Error(f"unknown flag {word[:60]}" + (f"; did you mean --{near[0]}?" if near else "; --help lists them all"))


def help_text(options: Sequence[Option], show_hidden: bool) -> str:
    """The options by group, each with its flags, meaning, default and range."""
    lines = []
    shown = [option for option in options if option.flag and (show_hidden or option.show != HIDDEN)]
    for title in dict.fromkeys(option.group for option in shown):
        lines += ["", f"{title}:"]
        for option in (option for option in shown if option.group == title):
            short = f"-{option.short}, " if option.short else "    "
            flag = {"check": "--[no-]" + option.flag, "spin": f"--{option.flag}=N", "float": f"--{option.flag}=X",
                    "string": f"--{option.flag}=TEXT"}.get(option.kind, f"--{option.flag}=CHOICE")
            lines.append(f"  {short}{flag}")
            facts = [f"UCI: {option.name}"] if option.name else []
            if option.default != "":
                facts.append("default " + value_text(option.default))
            if option.kind in ("spin", "float"):
                facts.append(f"{option.low:.10g} to {option.high:.10g}")
            elif option.kind == "combo":
                facts.append(", ".join(option.choice_list()))
            lines += textwrap.wrap(option.help, 100, initial_indent=" " * 10, subsequent_indent=" " * 10)
            lines += textwrap.wrap(f"[{'; '.join(facts)}]", 100, initial_indent=" " * 10, subsequent_indent=" " * 11)
    return "\n".join(lines)

"""Command line flags to settings: --name=value, --name value, --name, --no-name, -x value; and the help text."""
from typing import Sequence

from lc0rocm._core import Error
from lc0rocm.option import HIDDEN, NEVER, Option, Settings, value_text
from lc0rocm.options import IGNORED


def parse(arguments: Sequence[str], settings: Settings, warnings: list[str]) -> list[str]:
    """Sets what the flags say; the last one wins. Returns what is not a flag. Raises Error for a flag nobody knows or a
    value that does not fit; warnings gets a line for each flag that means nothing here."""
    known = (*IGNORED, *settings.options)
    by_flag = {option.flag: option for option in known if option.flag}
    by_short = {option.short: option for option in known if option.short}
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
                value = "false" if settings[option.key] else "true"
            else:
                value = _next(words, word, option)
            settings.set(option, value)
        else:
            flag, equals, value = word[2:].partition("=")
            option = by_flag.get(flag)
            if not option and flag.startswith("no-") and not equals:
                option, equals, value = by_flag.get(flag[3:]), "=", "false"
                if option and option.kind != "check":
                    option = None
            if not option:
                raise _unknown(word, by_flag)
            if not equals:
                value = "true" if option.kind == "check" else _next(words, word, option)
            settings.set(option, value)
            if option.when == NEVER:
                warnings.append(f"--{flag} has no effect in this engine")
    return positional


def _next(words: list[str], word: str, option: Option) -> str:
    if not words or words[0].startswith("--"):
        raise Error(f"{word} needs a value: {option.domain()}")
    return words.pop(0)


def _unknown(word: str, by_flag: dict[str, Option]) -> Error:
    import difflib
    name = word.lstrip("-").partition("=")[0]
    by_name = {option.name.lower(): flag for flag, option in by_flag.items()}
    near = [by_name[name.lower()]] if name.lower() in by_name else difflib.get_close_matches(name, by_flag, 1)
    return Error(f"unknown flag {word[:60]}" + (f"; did you mean --{near[0]}?" if near else "; --help lists them all"))


def help_text(options: Sequence[Option], show_hidden: bool) -> str:
    """The options by group, each with its flags, meaning, default and range."""
    import textwrap
    lines = []
    shown = [option for option in options if option.flag and (show_hidden or not (option.show == HIDDEN or option.when == NEVER))]
    for title in dict.fromkeys(option.group for option in shown):
        lines += ["", f"{title}:"]
        for option in (option for option in shown if option.group == title):
            short = f"-{option.short}, " if option.short else "    "
            flag = {"check": "--[no-]" + option.flag, "spin": f"--{option.flag}=N", "float": f"--{option.flag}=X",
                    "string": f"--{option.flag}=TEXT", "path": f"--{option.flag}=PATH"}.get(option.kind, f"--{option.flag}=CHOICE")
            lines.append(f"  {short}{flag}")
            facts = [f"UCI: {option.name}"] if option.name else []
            if option.default != "":
                facts.append("default " + value_text(option.default))
            if option.kind in ("spin", "float"):
                facts.append(f"{option.low:.10g} to {option.high:.10g}")
            elif option.kind == "combo":
                facts.append(", ".join(option.choice_list()))
            lines += textwrap.wrap(option.help, 100, initial_indent=" " * 10, subsequent_indent=" " * 10)
            lines += textwrap.wrap(f"[{'; '.join(facts)}]" if facts else "", 100, initial_indent=" " * 10, subsequent_indent=" " * 11)
    return "\n".join(lines)

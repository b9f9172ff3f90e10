"""The grammar of BackendOptions and TimeManager: text to a nested dict.

list := entry {',' entry}     entry := key '=' value | name | name '(' list ')' | '(' list ')'
A name without '=' is a sub-dictionary; one without a name is [0], [1], ... A sub-dictionary has what the level above
it sets unless it sets that itself. Sub-dictionaries keep the order in which they are written."""
import re

from lc0rocm import numerals
from lc0rocm._core import Error

_TOKEN = re.compile(r"""\s*(?: (?P<number>[-.0-9][\w.+-]*) | (?P<word>[A-Za-z/][\w./-]*)
                            | '(?P<single>[^']*)' | "(?P<double>[^"]*)" | (?P<mark>[=,()]) )""", re.X)


def parse(text: str) -> dict:
    """Values are bool, int, float, str; sub-dictionaries dict. Raises Error with the place of the mistake."""
    tokens, at = [], 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if not token:
            raise _mistake(text, ("", "", at))
        kind = str(token.lastgroup)
        tokens.append((kind, token[kind], token.start(kind)))
        at = token.end()
    tokens.append(("end", "", len(text)))
    result, rest = _list(text, tokens, 0, 0)
    if tokens[rest][0] != "end":
        raise _mistake(text, tokens[rest])
    return _inherit(result, {})


def _mistake(text: str, token: tuple[str, str, int]) -> Error:
    where = f"at '{text[token[2]:token[2] + 40]}'" if token[0] != "end" else "at the end"
    return Error(f"cannot read the options '{text[:80]}' {where}; write them like key=value,name(key=value)")


def _list(text: str, tokens: list, at: int, depth: int) -> tuple[dict, int]:
    """The entries from token `at` on and where they end."""
    if depth > 20:
        raise Error("options are nested too deep")
    result: dict = {}
    if tokens[at][0] == "end" or tokens[at][:2] == ("mark", ")"):
        return result, at
    while True:
        kind, name, _ = tokens[at]
        if kind == "word":
            at += 1
        elif (kind, name) == ("mark", "("):
            name = f"[{sum(key.startswith('[') for key in result)}]"
        else:
            raise _mistake(text, tokens[at])
        value: object = {}
        if tokens[at][:2] == ("mark", "="):
            value = _value(text, tokens[at + 1])
            at += 2
        elif tokens[at][:2] == ("mark", "("):
            value, at = _list(text, tokens, at + 1, depth + 1)
            if tokens[at][:2] != ("mark", ")"):
                raise _mistake(text, tokens[at])
            at += 1
        if name in result:
            raise Error(f"option '{name}' is given twice in '{text[:80]}'")
        result[name] = value
        if tokens[at][:2] != ("mark", ","):
            return result, at
        at += 1


def _value(text: str, token: tuple[str, str, int]) -> bool | int | float | str:
    kind, word, _ = token
    if kind == "number":
        try:
            number = numerals.real(word) if re.search("[.eE]", word) else numerals.integer(word)
        except ValueError:
            raise _mistake(text, token) from None
        if abs(number) >= 2**63:  # nor is any number of the core
            raise Error(f"the number {word[:40]} is too large")
        return number
    if kind in ("end", "mark"):
        raise _mistake(text, token)
    return {"true": True, "false": False}.get(word, word) if kind == "word" else word


def _inherit(level: dict, above: dict) -> dict:
    values = above | {key: value for key, value in level.items() if not isinstance(value, dict)}
    return values | {key: _inherit(value, values) for key, value in level.items() if isinstance(value, dict)}


def heads(options: dict) -> list[str]:
    """The policy head and the value head that back-end options ask for. Raises Error."""
    return [_head("policy_head", "vanilla", options), _head("value_head", "winner", options)]


def _head(key: str, default: str, parameters: dict) -> str:
    """The head that is asked for. Back ends that are combined share one network: raises Error if they ask for different ones."""
    parts = [part for part in parameters.values() if isinstance(part, dict)]
    asked = {_head(key, default, part) for part in parts} or {str(parameters.get(key, default))}
    if len(asked) > 1:
        raise Error(f"{key} is {' here and '.join(sorted(asked))} there: combined back ends share one; write it once, before them")
    return asked.pop()

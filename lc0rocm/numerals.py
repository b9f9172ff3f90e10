"""Numbers as people write them for engines: ASCII digits, nothing that only Python understands (1_000, nan, inf, other alphabets)."""
import re

_INTEGER = re.compile(r"[+-]?[0-9]+(\.0*)?")  # 2.0 too: scripts turn numbers to text carelessly
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST = 400  # characters; Python refuses far longer ones with another exception


def integer(text: str) -> int:
    """Raises ValueError for anything else."""
    if len(text) > _LONGEST or not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text.partition(".")[0])


def real(text: str) -> float:
    """Raises ValueError for anything else, and for a number that no float holds."""
    if len(text) > _LONGEST or not _REAL.fullmatch(text) or (value := float(text)) in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value

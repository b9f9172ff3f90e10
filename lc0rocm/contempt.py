"""Contempt and draw rates: the options of the WDL rescaling to the numbers that the search applies (W/D/L as a logistic
around mu with spread s; the search shifts mu by s^2 * diff and scales s by ratio)."""
import math
from typing import Any, NamedTuple, Protocol

from lc0rocm import numerals
from lc0rocm._core import Error


class Values(Protocol):
    """Option values by name."""
    def __getitem__(self, name: str, /) -> Any: ...


class Rescale(NamedTuple):
    ratio: float  # spread of the search over spread of the network
    diff: float  # shift in favour of the contempt side


def contempt_value(text: str, opponent: str, rating_advantage: float) -> float:
    """Elo. text: a list [name=]number,...: a bare number applies, a name only if it occurs in `opponent`; the first
    name that does ends the search."""
    value = rating_advantage
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        name, equals, number = entry.rpartition("=")
        try:
            elo = numerals.real(number.strip())
        except ValueError:
            raise Error(f"Contempt is a number or a list like 50,name=120; '{entry[:60]}' is neither") from None
        if not equals:
            value = elo
        elif name.strip().lower() in opponent.lower():
            return elo
    return value


def rescale(options: Values) -> Rescale:
    """From WDLCalibrationElo, the draw rates, contempt and their limits. The defaults give (1, 0): no change."""
    most = options["ContemptMaxValue"]
    contempt = contempt_value(options["Contempt"], options["UCI_Opponent"], options["UCI_RatingAdv"])
    contempt = max(-most, min(most, contempt))
    reference = _scale(options["WDLDrawRateReference"])
    elo, attenuation = options["WDLCalibrationElo"], options["WDLContemptAttenuation"]
    if elo == 0:
        rate, bias = options["WDLDrawRateTarget"], options["WDLBookExitBias"]
        target = _scale(max(rate, 0.001)) if rate else reference
        slope = _sech2((1 - bias) / (2 * target)) + _sech2((1 + bias) / (2 * target))
        return Rescale(target / reference,
                       target / reference**2 / slope * math.log(10) / 200 * contempt * attenuation)
    own, opponent = _effective(elo), _effective(elo - contempt)
    target = math.sqrt((_spread(own) ** 2 + _spread(opponent) ** 2) / 2)
    return Rescale(target / reference, (_strength(own) - _strength(opponent)) / reference**2 * attenuation)


def sign(mode: str, black_to_move: bool, *, analysis: bool) -> int:
    """Whom contempt favours: 1 the side to move at the root, -1 the other, 0 none."""
    if mode == "play":
        return 0 if analysis else 1
    if mode == "disable":
        return 0
    return 1 if (mode == "black_side_analysis") == black_to_move else -1


def _scale(draw_rate: float) -> float:
    return 1 / math.log((1 + draw_rate) / (1 - draw_rate))


def _sech2(x: float) -> float:
    return 1 / math.cosh(min(abs(x), 300)) ** 2


def _effective(elo: float) -> float:
    return elo + 125 * math.log1p(math.exp((2737 - elo) / 250))


def _spread(elo: float) -> float:
    return 1 / (1 / 15 + math.exp(elo / 425 - 6.75))


def _strength(elo: float) -> float:
    return -math.log(10) / 200 * 15 * 425 * math.log1p(math.exp(-elo / 425 + 6.75) / 15)

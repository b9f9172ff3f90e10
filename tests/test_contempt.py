"""The numbers of the WDL rescaling, computed by hand from docs/spec/engine.md 4.12."""
import math

import pytest

from lc0rocm import Error
from lc0rocm import contempt
from lc0rocm.options import ENGINE, Settings


def rescale(**changed):
    settings = Settings(ENGINE)
    settings.values |= changed
    return contempt.rescale(settings)


def test_defaults_change_nothing():
    assert rescale() == (1.0, 0.0)


def test_accurate_model():
    # ref = 1/ln 3; 1.098612 / (0.963927 + 0.482470) * ln(10)/2
    assert rescale(Contempt="100").diff == pytest.approx(0.87447, abs=1e-4)
    assert rescale(Contempt="1000") == rescale(Contempt="420")
    assert rescale(WDLDrawRateTarget=0.5).ratio == pytest.approx(1)
    assert rescale(WDLDrawRateTarget=0.8).ratio == pytest.approx(math.log(3) / math.log(9))


def test_elo_model():
    equal = rescale(WDLCalibrationElo=3000.0)
    # g = 3000 + 125 ln(1 + e^-1.052) = 3037.48; s = 1/(1/15 + e^(g/425 - 6.75)); times ln 3
    g = 3037.48
    assert equal.diff == 0
    assert equal.ratio == pytest.approx(math.log(3) / (1 / 15 + math.exp(g / 425 - 6.75)), rel=1e-4)
    assert rescale(WDLCalibrationElo=3000.0, Contempt="200").diff > 0 > rescale(WDLCalibrationElo=3000.0,
                                                                                Contempt="-200").diff


@pytest.mark.parametrize("text,opponent,value", [
    ("", "", 7), ("50", "", 50), ("-20.5", "", -20.5), ("30,bob=100", "GM Bob 2500", 100), ("bob=100,30", "none", 30),
    ("bob=1,ob=2", "bob", 1), ("10,20", "", 20),
])
def test_contempt_list(text, opponent, value):
    assert contempt.contempt_value(text, opponent, 7) == value


def test_bad_contempt():
    with pytest.raises(Error, match="much"):
        contempt.contempt_value("much", "", 0)


@pytest.mark.parametrize("mode,black,analysis,sign", [
    ("play", False, False, 1), ("play", True, False, 1), ("play", False, True, 0), ("white_side_analysis", False, True, 1),
    ("white_side_analysis", True, True, -1), ("black_side_analysis", True, True, 1), ("disable", True, False, 0),
])
def test_whom_it_favours(mode, black, analysis, sign):
    assert contempt.sign(mode, black, analysis=analysis) == sign

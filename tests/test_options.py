"""The table of options: what it accepts, what it prints, and the page made from it."""
import decimal
import math
import os
import pathlib
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm import Error, _core, backend_options, numerals, options

BY_NAME = {option.name: option for option in options.ENGINE}


def test_names_and_flags_are_unique():
    for field in ("name", "flag", "short"):
        values = [getattr(option, field).lower() for option in options.ENGINE if getattr(option, field)]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("option", [option for option in options.ENGINE if option.kind != "button"],
                         ids=lambda o: o.key)
def test_default_is_a_value(option):
    assert option.parse(options.value_text(option.default)) == option.default


@pytest.mark.parametrize("name,line", [
    ("Ponder", "option name Ponder type check default false"),
    ("Threads", "option name Threads type spin default 0 min 0 max 128"),
    ("CPuct", "option name CPuct type string default 1.745000"),
    ("LogFile", "option name LogFile type string default "),
    ("HistoryFill", "option name HistoryFill type combo default fen_only var no var fen_only var always"),
])
def test_advertised_line(name, line):
    assert BY_NAME[name].uci_line(BY_NAME[name].default) == line


def test_clear_tree_is_a_button():
    assert BY_NAME["ClearTree"].uci_line(None) == "option name ClearTree type button"


@pytest.mark.parametrize("name,text", [
    ("Ponder", ""), ("Ponder", "maybe"), ("Threads", "129"), ("Threads", "-1"), ("Threads", "2.5"), ("Threads", "9" * 5000),
    ("Threads", "1_0"), ("Threads", "\u0663"), ("Threads", "0x10"), ("Threads", "1e1"), ("CPuct", "nan"), ("CPuct", "inf"),
    ("CPuct", "-inf"), ("CPuct", "1e999"), ("CPuct", "1_0"), ("CPuct", "\u0661"), ("CPuct", "101"), ("CPuct", "one"), ("CPuct", ""),
    ("CPuct", "."), ("CPuct", "1,5"), ("HistoryFill", "maybe"), ("ScoreType", "wdl"),
])
def test_bad_values(name, text):
    with pytest.raises(Error, match=name):
        BY_NAME[name].parse(text)


@pytest.mark.parametrize("name,text,value", [
    ("Ponder", "True", True), ("Ponder", "off", False), ("Threads", " 4 ", 4), ("Threads", "4.0", 4), ("Threads", "+4", 4),
    ("CPuct", "1e1", 10), ("CPuct", ".5", 0.5), ("CPuct", "3.", 3), ("HistoryFill", "No", "no"), ("Backend", "CPU", "cpu"),
    ("WeightsFile", '"/a b/c.pb.gz"', "/a b/c.pb.gz"), ("WeightsFile", "'x.pb'", "x.pb"), ("WeightsFile", "<built in>", "<built in>"),
    ("WeightsFile", "~/c.pb", os.path.expanduser("~/c.pb")), ("LogFile", '"~/log"', os.path.expanduser("~/log")),
    ("WeightsFile", '"', '"'), ("WeightsFile", "", ""), ("WeightsFile", "o'brien.pb", "o'brien.pb"), ("Threads", '"4"', 4),
    ("BackendOptions", '"threads=2"', "threads=2"),
])
def test_values_as_people_and_programs_write_them(name, text, value):
    assert BY_NAME[name].parse(text) == value


@settings(max_examples=300)
@given(st.text() | st.from_regex(r"[+-]?[\d_.eE]{1,8}", fullmatch=True) | st.from_regex(r"[+-]?[0-9]{0,4}\.?[0-9]{0,4}", fullmatch=True))
def test_numbers_are_ascii_digits(text):
    for read, python in ((numerals.integer, decimal.Decimal), (numerals.real, float)):
        try:
            value = read(text)
        except ValueError:
            continue
        assert text.isascii() and "_" not in text and math.isfinite(value) and value == python(text) and text.strip() == text


@pytest.mark.parametrize("text", ["a=1_000", "a=\u0663", "a=1e999", "a=-", "a=1.2.3"])
def test_numbers_of_back_end_options_too(text):
    with pytest.raises(Error):
        backend_options.parse(text)


def test_other_names_set_the_options_they_stand_for():
    present = options.Settings(options.ENGINE)
    for name, text, target, value in [("hash", "1", "NNCacheSize", 2**20 // 140), ("Hash", "33554432", "NNCacheSize", 999999999),
                                      ("Move Overhead", "70", "MoveOverheadMs", 70), ("move  overhead", "7", "MoveOverheadMs", 7),
                                      ("Slow Mover", "150", "Slowmover", 1.5)]:
        assert present.set(present.option(name), text).name == target and present[target] == value
    assert present.set(present.option("Clear Hash"), "").name == "ClearTree"
    assert present.value(present.option("Slow Mover")) == 150 and present.value(present.option("Hash")) == 133514
    with pytest.raises(Error, match="Hash takes a whole number"):
        present.set(present.option("Hash"), "much")


def test_the_cache_takes_a_part_of_the_memory_and_leaves_the_tree_one():
    assert options.cache_positions({"NNCacheSize": 2000000, "RamLimitMb": 0}) == 2000000
    assert options.cache_positions({"NNCacheSize": 2000000, "RamLimitMb": 200}) == 10**8 // 140
    assert options.cache_positions({"NNCacheSize": 1000, "RamLimitMb": 200}) == 1000


def test_a_cache_beyond_memory_still_plays():
    search = _core.Search()
    search.set_backend(_core.Backend("random", None, {}), "fen_only", 1, int(BY_NAME["NNCacheSize"].high))
    search.set_position(_core.STARTPOS, [])
    search.start({"Threads": 1}, {"nodes": 10})
    assert search.result()["best_move"]


def test_page_is_current():
    page = pathlib.Path(__file__).parents[1] / "docs" / "options.md"
    assert page.read_text() == options.markdown(), "run: lc0rocm options --markdown > docs/options.md"


def test_search_parameters_for_the_api():
    parameters, others = options.search_parameters({"cpuct": 2, "Threads": 2, "TwoFoldDraws": False, "Hash": 1})
    assert (parameters["CPuct"], parameters["Threads"], parameters["TwoFoldDraws"]) == (2.0, 2, False)
    assert others["PolicyTemperature"] == 1.359 and others["NNCacheSize"] == 2**20 // 140
    with pytest.raises(Error, match="Cpukt"):
        options.search_parameters({"Cpukt": 2})


@pytest.mark.parametrize("name", ["Backend", "WeightsFile", "BackendOptions"])
def test_an_engine_does_not_load_networks(name):
    with pytest.raises(Error, match=f"{name} is no option of an Engine; give it to lc0rocm.Network as"):
        options.search_parameters({name: "cpu"})


@pytest.mark.parametrize("name,value", [("UCI_Chess960", True), ("TimeManager", "nonsense"), ("MoveOverheadMs", 5), ("SyzygyProbeLimit", 6),
                                        ("TaskWorkers", 3), ("VerboseMoveStats", True), ("Move Overhead", 9)])
def test_an_engine_says_what_has_no_effect_in_it(name, value):
    with pytest.warns(UserWarning, match=f"^{name} has no effect in an Engine$"):
        options.search_parameters({name: value})


def test_what_another_option_makes_idle_is_said():
    present = options.Settings(options.ENGINE)
    present.values |= {"CPuctAtRoot": 2.0, "WDLDrawRateTarget": 0.3}
    assert options.idle(present) == ["CPuctAtRoot has no effect while RootHasOwnCpuctParams is false"]
    present.values |= {"RootHasOwnCpuctParams": True, "WDLCalibrationElo": 3000.0}
    assert options.idle(present) == ["WDLDrawRateTarget has no effect while WDLCalibrationElo is set"]
    with pytest.warns(UserWarning, match="DirichletNoiseAlpha has no effect while DirichletNoiseEpsilon is 0"):
        options.search_parameters({"DirichletNoiseAlpha": 1})


def test_an_engine_says_nothing_of_what_is_as_it_would_be_anyway():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options.search_parameters({"UCI_Chess960": False, "SyzygyPath": "", "HistoryFill": "no", "Contempt": "5", "NNCacheSize": 5})


def test_every_parameter_of_the_core_is_an_option_or_worked_out():
    declared = {row["name"] for row in _core.search_options()}
    assert declared - {option.name for option in options.ENGINE if option.core} == {"WDLRescaleRatio", "WDLRescaleDiff", "ContemptSign", "Graph"}


@pytest.mark.parametrize("row", _core.search_options(), ids=lambda row: row["name"])
def test_the_core_takes_what_it_declares_and_no_more(row):
    def start(value):
        search.set_position(_core.STARTPOS, [])
        search.start({"Threads": 1, row["name"]: value}, {"nodes": 2})
        return search.result()["best_move"]

    search = _core.Search()
    search.set_backend(_core.Backend("random", None, {}), "fen_only", 1, 100)
    numbers = [row["low"], row["high"]] if row["kind"] in ("spin", "float") else []
    if row["kind"] == "spin":
        numbers = [int(number) for number in numbers]
    for good in {"check": [True, False], "combo": list(row["choices"])}.get(row["kind"], numbers) + [row["default"]]:
        if row["name"] != "Threads" or good < 3:
            assert start(good)
    beyond = [numbers[0] - 1, numbers[1] * 2 + 1] if numbers else []
    for bad in [*beyond, "wrong", float("nan"), None]:
        with pytest.raises(Error, match=row["name"]):
            start(bad)


NAMES = {"NNCacheSize": st.integers(0, 3000), "Hash": st.integers(0, 3), "MoveOverheadMs": st.integers(0, 3), "Move Overhead": st.integers(0, 3),
         "Slowmover": st.sampled_from([0, 0.5, 1, 1.004, 2]), "Slow Mover": st.integers(99, 101)}


@given(st.lists(st.sampled_from(list(NAMES)).flatmap(lambda name: st.tuples(st.just(name), NAMES[name]))),
       st.lists(st.sampled_from(list(NAMES)).flatmap(lambda name: st.tuples(st.just(name), NAMES[name])), max_size=3),
       st.randoms(use_true_random=False))
def test_only_what_a_gui_says_anew_counts(before, wishes, dice):
    """A GUI that sends back all that it was told, and among it in any order what its user has changed."""
    present = options.Settings(options.ENGINE)

    def say(name, value):
        present.set(present.option(name), options.value_text(value))

    for name, value in before:
        say(name, value)
    told, kept = dict(present.tell()), dict(present.values)
    wishes = {name: value for name, value in wishes if value != told[name]}
    lines = [(name, wishes.get(name, told[name])) for name in NAMES]
    dice.shuffle(lines)
    for name, value in lines * dice.randrange(1, 3):
        say(name, value)
    for name, value in lines:  # the last wish for an option holds
        option = BY_NAME[name]
        if name in wishes and not option.alias:
            kept[name] = value
        elif name in wishes and value != option.alias.back(kept[option.alias.target]):  # else it says so already
            kept[option.alias.target] = option.alias.into(value)
    assert {name: pytest.approx(value) if isinstance(value, float) else value for name, value in kept.items()} == present.values


def test_a_wish_may_be_taken_back():
    present = options.Settings(options.ENGINE)
    told = present.tell()["Hash"]
    for value, positions in ((1, 7489), (told, BY_NAME["Hash"].alias.into(told)), (1, 7489)):
        present.set(BY_NAME["Hash"], str(value))
        assert present["NNCacheSize"] == positions

"""The table of options: what it accepts, what it prints, and the page made from it."""
import pathlib

import pytest

from lc0rocm import Error, _core, options

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
    ("Ponder", "True"), ("Ponder", ""), ("Threads", "129"), ("Threads", "-1"), ("Threads", "2.5"), ("Threads",
                                                                                                    "9" * 5000),
    ("CPuct", "nan"), ("CPuct", "101"), ("CPuct", "one"), ("CPuct", ""), ("HistoryFill", "No"), ("ScoreType", "wdl"),
])
def test_bad_values(name, text):
    with pytest.raises(Error, match=name):
        BY_NAME[name].parse(text)


def test_hash_becomes_cache_entries():
    assert options.cache_entries("1") == 2**20 // 140
    assert options.cache_entries("1000000000") == 999999999


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
    parameters, others = options.search_parameters({"cpuct": 2, "Threads": 2, "TwoFoldDraws": False})
    assert (parameters["CPuct"], parameters["Threads"], parameters["TwoFoldDraws"]) == (2.0, 2, False)
    assert others["PolicyTemperature"] == 1.359
    with pytest.raises(Error, match="Cpukt"):
        options.search_parameters({"Cpukt": 2})


def test_every_parameter_of_the_core_is_an_option_or_worked_out():
    declared = {row["name"] for row in _core.search_options()}
    assert declared - {option.name for option in options.ENGINE if option.core} == {"WDLRescaleRatio", "WDLRescaleDiff", "ContemptSign"}


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

"""What queries are taken, what is said of others, and that the schema in docs says the same."""
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc0rocm.analysis.query import Action, Query, Reader, Refused

from . import asking


READER = Reader({}, {"nodes": 800})
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5)
GOOD = {
    "fen": st.sampled_from(["startpos", "8/8/8/4k3/8/8/4P3/4K3 w - - 0 1"]), "moves": st.sampled_from([[], "", ["e2e4"], "e3"]),
    "pgn": st.just("1. e4 e5 *"), "plies": st.sampled_from(["all", [0]]), "nodes": st.integers(1, 100), "time": st.floats(0.01, 10),
    "depth": st.integers(1, 9), "policy_only": st.booleans(), "multipv": st.integers(1, 500), "searchmoves": st.sampled_from([[], ["e2e4"]]),
    "options": st.sampled_from([{}, {"CPuct": 1}, {"cpuct": "1.5"}, {"UCI_Chess960": True}])
    | st.dictionaries(st.sampled_from(["CPuct", "MultiPV", "ScoreType", "OwnBook", "SyzygyPath"]), JSON), "priority": st.integers(-9, 9),
    "include": st.lists(st.sampled_from(["policy", "wdl", "tree"])), "report_every": st.floats(0.01, 5), "perspective": st.just("white"),
    "action": st.sampled_from(["terminate", "version"]), "terminate_id": JSON, "fem": JSON,
}


@settings(max_examples=300)
@given(st.data())
def test_any_fields_are_taken_or_refused_in_a_sentence(data):
    """What the schema forbids is refused, with the field; what is taken, the schema allows."""
    names = data.draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=4, unique=True))
    fields = {name: data.draw(GOOD[name] if data.draw(st.integers(0, 3)) else JSON) for name in names}
    if data.draw(st.integers(0, 9)):
        fields["id"] = data.draw(JSON)
    try:
        taken = READER.read(fields)
    except Refused as refused:
        assert str(refused) and "\n" not in str(refused) and "internal" not in str(refused)
        assert refused.field is None or refused.field in fields or refused.field == "id"
        return
    assert isinstance(taken, Action if "action" in fields and fields["action"] is not None else Query)
    given = {name: value for name, value in fields.items() if value is not None or name in ("id", "action")}
    schema = asking.ACTION if isinstance(taken, Action) else asking.QUERY
    schema.validate(given)


@settings(max_examples=100)
@given(JSON)
def test_what_is_no_object_is_refused(value):
    with pytest.raises(Refused):
        READER.read(value if not isinstance(value, dict) else {**value, "id": float("nan")})


@pytest.mark.parametrize("fields,field,words", [
    ({}, "id", "needs an id"), ({"id": 1}, None, "give fen, moves or pgn"), ({"id": 1, "fen": "8/8"}, "fen", "FEN"),
    ({"id": 1, "moves": ["e2e4", "e2e4"]}, "moves", "'e2e4' is no legal move in rnbqkbnr"),
    ({"id": 1, "fen": "startpos", "moves": "Ke2"}, "moves", "Ke2"), ({"id": 1, "moves": "e4 --"}, "moves", "--"),
    ({"id": 1, "pgn": "1. e4 e4"}, "pgn", "e4"), ({"id": 1, "pgn": ""}, "pgn", "no game"), ({"id": 1, "pgn": "hello"}, "pgn", "no game"),
    ({"id": 1, "pgn": "1. e4 *\n\n1. d4 *"}, "pgn", "more than one game"),
    ({"id": 1, "pgn": '[Variant "Crazyhouse"]\n\n1. e4 *'}, "pgn", "not crazyhouse"),
    ({"id": 1, "pgn": "1. e4 *", "fen": "startpos"}, None, "by itself"), ({"id": 1, "fen": "startpos", "nodes": 0}, "nodes", "from 1 to"),
    ({"id": 1, "fen": "startpos", "note": 5}, "note", "did you mean nodes"),
    ({"id": 1, "fen": "startpos", "options": {"Backend": "cpu"}}, "options", "Backend is no option of a query"),
    ({"id": 1, "fen": "startpos", "options": {"CPuct": None}}, "options", "CPuct takes"),
    ({"id": 1, "fen": "startpos", "policy_only": True, "nodes": 5}, "nodes", "leave nodes"),
    ({"id": 1, "fen": "startpos", "plies": [1]}, "plies", "from 0 to 0"),
    ({"id": 1, "fen": "startpos", "searchmoves": "e5"}, "searchmoves", "'e5' is no legal move"),
    ({"id": 1, "action": "stop"}, "action", "one of terminate"),
    ({"id": 1, "action": "terminate", "terminate_id": [float("nan")]}, "terminate_id", "is an id"),
    ({"id": 1, "fen": "startpos", "options": {"CPuct": "1\n2"}}, "options", "not '1.2'"),
    ({"id": 1, "pgn": "1. e4 e5 2. Sf3 *"}, "pgn", "'Sf3' is no move in standard notation"),
    ({"id": 1, "pgn": "1. e4 {a comment"}, "pgn", "never closed"),
])
def test_the_sentence_names_the_mistake_and_the_field_that_has_it(fields, field, words):
    with pytest.raises(Refused, match=words) as refused:
        READER.read(fields)
    assert refused.value.field == field and refused.value.id == fields.get("id")


def test_moves_are_read_in_either_notation():
    expected = ("e2e4", "e7e5", "g1f3", "b8c6", "f1c4", "f8c5", "e1h1")
    for text in ("e2e4 e7e5 g1f3 b8c6 f1c4 f8c5 e1g1", "1. e4 e5 2. Nf3 Nc6 3.Bc4 Bc5 4.O-O", "e4 e7e5 Nf3 b8c6 Bc4 Bc5 e1h1"):
        line = READER.read({"id": 1, "moves": text}).line
        assert (*line.moves[:-1], "e1h1") == expected and line.moves[-1] in ("e1g1", "e1h1")
    pgn = '[White "x"]\n\n1. e4 {best} e5 (1... c5 2. Nf3 (2. c3)) 2. Nf3 $1 Nc6 3. Bc4 Bc5 4. O-O *'
    assert READER.read({"id": 1, "pgn": pgn}).line.moves[:6] == expected[:6]
    spread = pgn.replace("\n", "\r\n").replace(" (", "\r\n\r\n(").replace(" Nc6", "\r\n\r\nNc6")
    assert READER.read({"id": 1, "pgn": spread}).line.moves[:6] == expected[:6]


def test_chess960_castles_by_king_takes_rook():
    fen = "1rk3r1/pppppppp/8/8/8/8/PPPPPPPP/1RK3R1 w GBgb - 0 1"
    for text in ("O-O", "c1g1"):
        assert READER.read({"id": 1, "fen": fen, "moves": text}).line.moves == ("c1g1",)
    pgn = f'[FEN "{fen}"]\n[SetUp "1"]\n[Variant "Chess960"]\n\n1. O-O O-O-O *'
    assert READER.read({"id": 1, "pgn": pgn}).line.moves == ("c1g1", "c8b8")


def test_ids_are_found_again_by_their_value():
    first = READER.read({"id": {"a": 1, "b": [None, "é"]}, "fen": "startpos"})
    same = READER.read({"id": 0, "action": "terminate", "terminate_id": json.loads('{"b": [null, "\\u00e9"], "a": 1}')})
    assert first.key == same.target


def test_options_of_a_query_are_over_those_of_all():
    reader = Reader({"CPuct": 3.0, "Threads": 1}, {"nodes": 800})
    query = reader.read({"id": 1, "fen": "startpos", "options": {"cpuct": 2.0}, "multipv": 3})
    assert {key: query.setup.parameters[0][key] for key in ("CPuct", "Threads", "MultiPV")} == {"CPuct": 2.0, "Threads": 1, "MultiPV": 3}
    contempt = reader.read({"id": 1, "fen": "startpos", "options": {"ContemptMode": "white_side_analysis", "Contempt": 50}})
    assert [parameters["ContemptSign"] for parameters in contempt.setup.parameters] == [1, -1]
    assert reader.read({"id": 1, "fen": "startpos", "options": {"NNCacheSize": 5}}).setup.remarks

"""Damaged nets load or raise lc0rocm.Error. The long form is scripts/fuzz_nets.py."""


def test_damaged_nets(fuzzer, nets):
    files = sorted(path for path in nets.glob("*.pb.gz") if path.stat().st_size < 400_000)
    outcome = fuzzer.fuzz(files, 300, seed=20)
    assert outcome["refused"] > 100 and outcome["loaded"] > 10  # damage both kinds: the checks are reached


def test_fuzzing_notices_other_exceptions(fuzzer, nets, monkeypatch):
    monkeypatch.setattr(fuzzer.net, "load", lambda path: {}["no net"])
    try:
        fuzzer.fuzz([nets / "attention-map.pb.gz"], 1, seed=0)
    except AssertionError as error:
        assert "KeyError" in str(error) and "seed 0, file 0" in str(error)
    else:
        raise AssertionError("a KeyError passed as an outcome")

"""The grammar of BackendOptions."""
import pytest

from lc0rocm import Error, loading
from lc0rocm.backend_options import heads, parse


@pytest.mark.parametrize("text,value", [
    ("", {}),
    (" ", {}),
    ("a=1,b=-2.5,c=1e3,d=.5", {"a": 1, "b": -2.5, "c": 1000.0, "d": 0.5}),
    ("on=true,off=false,word=policy_head", {"on": True, "off": False, "word": "policy_head"}),
    ("one='a,b',two=\"c)d\",path=/x/y-1.z", {"one": "a,b", "two": "c)d", "path": "/x/y-1.z"}),
    ("cpu , random ( seed = 3 )", {"cpu": {}, "random": {"seed": 3}}),
    ("(a=1),(a=2)", {"[0]": {"a": 1}, "[1]": {"a": 2}}),
    ("x=1,sub(y=2,deep(x=3))", {"x": 1, "sub": {"x": 1, "y": 2, "deep": {"x": 3, "y": 2}}}),
    ("sub(y=2),x=1", {"x": 1, "sub": {"x": 1, "y": 2}}),
    ("empty()", {"empty": {}}),
])
def test_meaning(text, value):
    assert parse(text) == value


def test_order_of_sub_dictionaries_is_kept():
    assert list(parse("z(a=1),b(a=1)")) == ["z", "b"]


@pytest.mark.parametrize("text", ["a=", "a=1,", ",a=1", "=1", "a=(b=1)", "a=1 b=2", "a(b=1", "a)", "a=1.2.3", "a='x",
                                  "a=1,a=2",
                                  "ü=1", "a=99999999999999999999", "a=1e999", "(" * 50 + ")" * 50])
def test_mistakes(text):
    with pytest.raises(Error):
        parse(text)


@pytest.mark.parametrize("text,head", [
    ("", "vanilla"), ("policy_head=soft", "soft"), ("policy_head=soft,(gpu=0),(gpu=1)", "soft"),
    ("(policy_head=soft),(policy_head=soft)", "soft"), ("a(b(policy_head=soft))", "soft"),
])
def test_the_head_of_a_network_that_several_back_ends_share(text, head):
    assert heads(parse(text)) == [head, "winner"]


def test_heads_that_nobody_can_obey():
    with pytest.raises(Error, match="policy_head is soft here and vanilla there"):
        loading.load_backend("<built in>", "demux", "(backend=cpu,policy_head=soft),(backend=cpu)")
    with pytest.raises(Error, match="no_such_head"):
        loading.load_backend("<built in>", "demux", "(backend=cpu,policy_head=no_such_head)")
    for key in ("policy_head", "probe"):
        assert any(f"{key} has no effect" in line for line in loading.load_backend("", "random", f"{key}=soft").messages)

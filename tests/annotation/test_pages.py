"""Pages of annotated games, as text and in a browser."""
import html.parser
import json
import pathlib
import re

import pytest

from . import browser
from .test_annotate import annotate

HOSTILE = r'''[Event "</script><script>document.title = 'harm'</script>"]
[Site "https://x\"onmouseover=alert(1) <img src=x onerror=alert(2)>"]
[White "<b>Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</b>"]
[Black "&lt;script&gt; ]]> <!--"]
[WhiteElo "<i>2000"]
[Result "<i>*"]

{</span><script>alert(3)</script>} 1. e4 {<svg onload=alert(4)> [%clk 0:01:00] looooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooong} e5
(1... c5 {</p><iframe src="javascript:alert(5)">} 2. Nf3) 2. Nf3 $2 Nc6 3. Bb5 {' onclick='alert(6)} a6 *

[Event "Chess960"]
[Variant "Chess960"]
[FEN "r5kr/pppppppp/8/8/8/8/PPPPPPPP/R5KR w HAha - 0 1"]

1. O-O O-O-O 2. a4 c5 *

[Event "Chess960"]
[FEN "4k3/8/8/8/8/8/4P3/4K3 b - - 0 7"]

7... Kd7 *

[White "Nobody"]
[Black "No moves"]

*
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pages of several games, and one of one."""
    folder = tmp_path_factory.mktemp("pages & <more>")
    (folder / "games.pgn").write_text(HOSTILE)
    annotate(folder / "games.pgn", folder / 'all "here".html')
    (folder / "one.pgn").write_text('[White "A"]\n[Black "B"]\n\n1. e4 {good} e5 2. Nf3 $5 (2. f4 exf4) Nc6 3. Bb5 a6 4. O-O 1-0\n')
    annotate(folder / "one.pgn", folder / "one.html")
    return folder


class Elements(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def pages(folder):
    return [folder / 'all "here".html', folder / "one.html", *folder.glob("*_pages/*.html")]


def test_nothing_of_a_game_becomes_an_element_or_an_attribute(folder):
    assert len(pages(folder)) == 6
    for page in pages(folder):
        elements = Elements(page.read_text()).found
        assert not [tag for tag, _ in elements if tag in ("iframe", "img", "b", "i", "object") and page.name == "1.html" and tag != "b"]
        assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
        assert len([tag for tag, _ in elements if tag == "script"]) == (0 if page.parent == folder and page.name != "one.html" else 2)
        for _, attributes in elements:
            for name in ("src", "href"):
                assert re.match(r"#|data:,$|(\.\./)?[\w%&;]+[\w%./]*\.html$", attributes.get(name) or "#"), attributes


def test_links_between_pages_lead_somewhere(folder):
    from urllib.parse import unquote
    for page in pages(folder):
        for tag, attributes in Elements(page.read_text()).found:
            if tag == "a" and not attributes["href"].startswith("#"):
                assert (page.parent / unquote(attributes["href"])).exists()


def test_pages_of_another_time_are_gone_and_other_files_stay(tmp_path):
    (tmp_path / "games.pgn").write_text("1. e4 *\n\n1. d4 *\n\n1. c4 *\n")
    annotate(tmp_path / "games.pgn", tmp_path / "out.html")
    (tmp_path / "out_pages/mine.html").write_text("mine")
    (tmp_path / "games.pgn").write_text("1. e4 *\n\n1. d4 *\n")
    annotate(tmp_path / "games.pgn", tmp_path / "out.html", "--again")
    assert {path.name for path in (tmp_path / "out_pages").iterdir()} == {"1.html", "2.html", "mine.html"}


# in a browser ---------------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(not browser.PROGRAM, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def chromium():
    with browser.Browser() as made:
        yield made


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_and_complain_of_nothing(chromium, folder, width, dark):
    for page in pages(folder):
        chromium.open(page.as_posix().replace("%", "%25").replace("&", "%26"), width, dark)
        assert chromium.problems == [], page.name
        assert chromium.value("document.documentElement.scrollWidth <= innerWidth"), page.name
        assert chromium.value("document.title") != "harm"
        back, front = (sum(map(int, re.findall(r"\d+", chromium.value(f"getComputedStyle(document.body).{key}"))[:3]))
                       for key in ("backgroundColor", "color"))
        assert (back < front) == dark and abs(back - front) > 400


@needs_browser
def test_going_through_a_game(chromium, folder):
    """By keys, buttons, the moves, the graph and the address."""
    chromium.open(folder / "one.html", 1440)
    at = lambda: int(chromium.value("document.body.dataset.ply"))
    marked = lambda: chromium.value("document.querySelector('.moves [aria-current]')?.textContent ?? ''")
    assert at() == 0 and marked() == ""
    for key, ply in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 7), ("ArrowRight", 7), ("Home", 0), ("ArrowLeft", 0)):
        chromium.press(key)
        assert at() == ply, key
    for way, ply in (("on", 1), ("last", 7), ("back", 6), ("first", 0)):
        chromium.click(f"[data-way={way}]")
        assert at() == ply, way
    chromium.click('.moves a[href="#3"]')
    assert at() == 3 and marked().startswith("Nf3!?") and chromium.value("location.hash") == "#3"
    assert chromium.value("document.querySelector('.told').textContent").startswith("2. Nf3, ")
    assert chromium.value("[...document.querySelectorAll('.board .on')].map(square => square.classList[2]).sort().join()") == "f3,g1"
    for share, ply in ((0.01, 0), (0.5, 4), (0.99, 7)):
        chromium.click(".graph svg", share) if share != 0.5 else chromium.click(".graph svg", 4 / 7)
        assert at() == ply
    chromium.open(f"{folder / 'one.html'}#5", 390)
    assert at() == 5
    chromium.value("location.hash = '#2'")
    chromium.value("new Promise(done => setTimeout(done, 50))")
    assert chromium.problems == []


@needs_browser
def test_the_board_shows_every_position(chromium, folder):
    for page in pages(folder):
        if page.parent == folder and page.name != "one.html":
            continue
        chromium.open(page.as_posix().replace("&", "%26"), 1440)
        plies = json.loads(re.search(r'<script type="application/json" id="plies">(.*?)</script>', page.read_text(), re.S)[1])
        for number, ply in enumerate(plies):
            shown = chromium.value("[...document.querySelectorAll('#pieces use')].map(use => [use.getAttribute('href'), "
                                   "...use.getAttribute('transform').match(/\\d+/g)].join())")
            wanted = []
            for rank, row in enumerate(ply["board"].split("/")):
                squares = re.sub(r"\d", lambda found: "." * int(found[0]), row)
                wanted += [f"#{'white' if piece.isupper() else 'black'}-{NAMES[piece.lower()]},{15 + 45 * file},{15 + 45 * rank}"
                           for file, piece in enumerate(squares) if piece != "."]
            assert shown == wanted, (page.name, number)
            assert chromium.value("[...document.querySelectorAll('#pieces use')].every(use => document.querySelector(use.getAttribute('href')))")
            assert chromium.value("[...document.querySelectorAll('#pieces use')].every(use => use.getBoundingClientRect().width > 10)")
            chromium.press("ArrowRight")


NAMES = dict(zip("pnbrqk", ("pawn", "knight", "bishop", "rook", "queen", "king")))


def test_the_page_says_what_it_is_made_of():
    """Nothing is loaded: no address but of documents' own kinds is in what the package adds."""
    import lc0rocm.annotation
    here = pathlib.Path(lc0rocm.annotation.__file__).parent
    for name in ("page.css", "page.js"):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)", (here / name).read_text())

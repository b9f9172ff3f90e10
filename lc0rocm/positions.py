"""The positions of `bench`, `benchmark` and `check`: the start position, 17 with most pieces on, 16 endgames. Three
carry moves played since, one of them a repetition; two have a high fifty-move count. `bench` takes the first ten."""
import random
from typing import Iterator

from lc0rocm import _core

POSITIONS = (
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1",
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1",
    "r2q1rk1/3nbppp/p2pbn2/1p2p3/4P1P1/1NN1BP2/PPPQ3P/2KR1B1R w - - 0 12",
    "r1b2rk1/2q1bppp/p1np1n2/1p2p3/3PP3/5N1P/PPBN1PP1/R1BQR1K1 w - - 1 14",
    "r1bq1rk1/pppnn1bp/3p4/3Pp1p1/2P1Pp2/2N2P2/PP2BBPP/R2QNRK1 w - - 0 13",
    "r2q1rk1/pp2ppbp/6p1/n1p5/2BPP1b1/2P1BP2/P3N1PP/R2Q1RK1 w - - 1 12",
    "r1b1k1r1/ppq1np1Q/2n1p3/3pP3/5P2/P1p5/2P1N1PP/R1B1KB1R w KQq - 0 12",
    "r1bqrnk1/pp2bppp/2p2n2/3p2B1/3P4/2NBP3/PPQ1NPPP/R4RK1 w - - 0 11",
    "2rq1rk1/pp1bppbp/3p1np1/4n3/3NP3/1BN1BP2/PPPQ2PP/2KR3R w - - 9 12",
    "r3kbnr/pp3ppp/2n1p3/2ppPb2/3P4/2N1BN2/PqP1BPPP/R2Q1RK1 w kq - 0 9",
    "r1bqkb1r/3n1ppp/p3pn2/1N2P3/3p4/3B1N2/PP3PPP/R1BQK2R b KQkq - 0 11",
    "r1b2rk1/ppq2ppp/2n1pn2/2p5/2BP4/P1P1PN2/5PPP/R1BQ1RK1 w - - 1 11",
    "r2q1rk1/ppp1b1pp/1nn1bp2/4p3/1P6/P1NP1NP1/4PPBP/1RBQ1RK1 b - - 0 11",
    "r1bqr1k1/bpp2pp1/p1np1n1p/4p3/4P3/1BPP1N1P/PP3PP1/R1BQRNK1 b - - 3 11",
    "r1b1kb1r/ppp2ppp/2p5/4Pn2/8/2N2N2/PPP2PPP/R1B2RK1 w - - 2 10",
    "r1bqkb1r/5p1p/p1np4/1p1Npp2/4P3/N7/PPP2PPP/R2QKB1R w KQkq - 0 11",
    "rn1q1rk1/1bp1bppp/p3pn2/1p6/3P4/5NP1/PPQBPPBP/RN3RK1 b - - 3 10 moves b7e4",
    "r1bqr1k1/ppn2pbp/3p1np1/2pP4/4P3/2N2P2/PP1NB1PP/R1BQ1RK1 w - - 1 12",
    "1K1k4/1P6/8/8/8/8/r7/2R5 w - - 0 60",
    "3k4/R7/7r/3KP3/8/8/8/8 w - - 0 55",
    "8/8/8/8/4Q3/2K5/2p5/1k6 w - - 0 70",
    "8/5pk1/4p1p1/7p/1Q5P/4P1P1/q4PK1/8 w - - 0 40",
    "8/8/1p1k4/p1p1p1p1/P1P1P1P1/3K4/8/8 w - - 0 50",
    "7K/8/k1P5/7p/8/8/8/8 w - - 0 65",
    "8/5k2/3b2p1/1p1P1pP1/1P3P2/2B2K2/8/8 w - - 0 52",
    "8/8/8/4k3/8/8/3KBN2/8 w - - 0 80",
    "8/3n1k2/1p2p1p1/p3P2p/P2K1N1P/1P4P1/8/8 w - - 0 44",
    "3r4/8/8/3k4/8/8/3BKR2/8 w - - 0 90",
    "3r2k1/p4ppp/1p6/2r5/8/1P2P3/P4PPP/2RR2K1 w - - 0 28 moves g1f1",
    "8/8/8/2k5/8/1r6/8/3QK3 w - - 0 75",
    "8/8/3k4/8/3KP3/8/r7/4R3 w - - 93 140",
    "8/2k1b3/2p1p1p1/2P1P1P1/1p1N1K2/1P6/8/8 w - - 40 70",
    "8/pR4pk/1p5p/8/8/4P1P1/r4PKP/8 w - - 0 35 moves b7e7 a2a3 e7b7 a3a2",
)


def split(text: str) -> tuple[str, list[str]]:
    """FEN and moves of "FEN" or "FEN moves m1 m2 ..."."""
    fen, _, moves = text.partition(" moves ")
    return fen.strip(), moves.split()


def varied(count: int) -> Iterator[_core.Game]:
    """Our own, then positions of random games, always the same."""
    for text in POSITIONS[:count]:
        yield _core.Game(*split(text))
    dice = random.Random(1)
    for _ in range(count - len(POSITIONS)):
        game = _core.Game()
        for _ in range(dice.randint(2, 80)):
            moves = game.legal_moves()
            if not moves:
                break
            game.push(dice.choice(moves))
        yield game

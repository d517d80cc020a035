"""The searched networks for text, each with its source; torch-free.

The sizes are those of the published retraining, with its dropouts.
"""

from __future__ import annotations

from nas.catalog.entry import PENN_TREEBANK, Drawn, Figure, NetworkEntry, Size
from nas.genotypes.published import (
    DARTS_RNN_V1,
    DARTS_RNN_V2,
    ENAS_LM,
    ENAS_RNN,
    NAO_RNN,
    NAO_WS_RNN,
)
from nas.genotypes.random_genotypes import random_recurrent
from nas.genotypes.values import RecurrentGenotype

ENAS = "Pham et al. 2018, arXiv 1802.03268"
NAO = "Luo et al. 2018, arXiv 1808.07233"
DARTS = "Liu et al. 2019, arXiv 1806.09055"
REVIEW_TABLE = "Li & Talwalkar 2019, arXiv 1902.07638, table 2"


def _searched(
    name: str,
    summary: str,
    source: str,
    genotype: RecurrentGenotype,
    sizes: dict[str, Size],
    *published: Figure,
    encoding: str = "",
) -> NetworkEntry:
    return NetworkEntry(
        name=name,
        origin="searched",
        task="text",
        summary=summary,
        source=source,
        genotype=genotype,
        sizes=sizes,
        spec=PENN_TREEBANK,
        published=published,
        encoding=encoding,
    )


def _sizes(
    hidden: int, *, embedding: float, x: float, cell_x: float, cell_state: float, output: float
) -> dict[str, Size]:
    return {
        "hidden": hidden,
        "dropout_embedding": embedding,
        "dropout_input": x,
        "dropout_cell_input": cell_x,
        "dropout_cell_state": cell_state,
        "dropout_output": output,
    }


def _test(value: str, source: str, *, how: str = "", data: str = "Penn Treebank") -> Figure:
    return Figure(what=f"{data} perplexity, test{how}", value=value, source=source)


def _both(value: str, source: str, *, how: str = "") -> Figure:
    what = f"Penn Treebank perplexity, validation / test{how}"
    return Figure(what=what, value=value, source=source)


def _weights(value: str, source: str) -> Figure:
    return Figure(what="parameters", value=value, source=source)


# ptb_final.sh of melodyguan/enas; its keep probabilities e, x, h and o are .79, .25, .75 and .24.
_ENAS_SIZES = _sizes(748, embedding=0.21, x=0.0, cell_x=0.75, cell_state=0.25, output=0.76)
# The defaults of NAO/rnn/train.py and NAO-WS/rnn/train.py, which the scripts leave as they are.
_NAO_SIZES = _sizes(850, embedding=0.0, x=0.2, cell_x=0.75, cell_state=0.25, output=0.75)
# The defaults of rnn/train.py of quark0/darts at its last commit.
_DARTS_SIZES = _sizes(850, embedding=0.1, x=0.2, cell_x=0.75, cell_state=0.25, output=0.75)

TEXT = (
    _searched(
        "enas-rnn",
        "recurrent cell of 12 nodes found by ENAS",
        f"{ENAS}; melodyguan/enas, ptb_final.sh",
        ENAS_RNN,
        _ENAS_SIZES,
        _test("55.8", f"{ENAS}, abstract"),
        _test("56.3", REVIEW_TABLE, how=", as later versions of the paper have it"),
        _both("60.8 / 58.6", REVIEW_TABLE, how=", retrained by the authors of DARTS"),
        _weights("24 M", REVIEW_TABLE),
        encoding="ENAS recurrent",
    ),
    _searched(
        "enas-lm",
        "recurrent cell of 8 searched nodes found by the corrected ENAS code",
        "google-research/enas_lm: README (cell) and src/fixed_lib.py (sizes, dropouts)",
        ENAS_LM,
        _sizes(800, embedding=0.125, x=0.175, cell_x=0.725, cell_state=0.225, output=0.75),
        _test("56.1 ± 0.1", "google-research/enas_lm, README", how=", 10 runs on TPUs"),
        _test("57.3 ± 0.1", "google-research/enas_lm, README", how=", 10 runs on GPUs"),
        encoding="enas_lm",
    ),
    _searched(
        "nao-rnn",
        "recurrent cell of 11 searched nodes found by NAO",
        f"{NAO}; renqianluo/NAO, NAO/rnn/train_ptb_final.sh (cell) and train.py (sizes, dropouts)",
        NAO_RNN,
        _NAO_SIZES,
        _test("56.0", f"{NAO}, abstract"),
        _test("56.02", "renqianluo/NAO, README", how=", the released weights"),
        _test(
            "67.10",
            "renqianluo/NAO, README",
            how=", 700 units and a dropout of 0.15 on the states",
            data="WikiText-2",
        ),
        encoding="NAO recurrent",
    ),
    _searched(
        "nao-ws-rnn",
        "recurrent cell of 11 searched nodes found by NAO with shared weights",
        f"{NAO}; renqianluo/NAO, NAO-WS/rnn/train_final.sh (cell) and train.py (sizes, dropouts)",
        NAO_WS_RNN,
        _NAO_SIZES,
        _test("56.6", f"{NAO}, abstract"),
        _test("56.66", "renqianluo/NAO, README", how=", the released weights"),
        _test("56.80", "renqianluo/NAO, README", how=", as listed beside them"),
        encoding="NAO-WS recurrent",
    ),
    _searched(
        "darts-rnn-v1",
        "recurrent cell of 8 searched nodes found by DARTS, first order",
        f"{DARTS}; quark0/darts, rnn/genotypes.py (cell) and rnn/train.py (sizes, dropouts)",
        DARTS_RNN_V1,
        _DARTS_SIZES,
        _both("60.2 / 57.6", REVIEW_TABLE),
        _weights("23 M", REVIEW_TABLE),
    ),
    _searched(
        "darts-rnn-v2",
        "recurrent cell of 8 searched nodes found by DARTS, second order",
        f"{DARTS}; quark0/darts, rnn/genotypes.py (cell) and rnn/train.py (sizes, dropouts)",
        DARTS_RNN_V2,
        _DARTS_SIZES,
        _both("58.1 / 55.7", REVIEW_TABLE),
        _test("55.68", "quark0/darts, README", how=", the released weights"),
        _both("58.2 / 55.9", REVIEW_TABLE, how=", retrained"),
        _test("58.1", "google-research/enas_lm, README", how=", in the trainer of enas-lm"),
        _weights("23 M", REVIEW_TABLE),
    ),
    NetworkEntry(
        name="random-rnn",
        # Its cell is drawn, not found by any search: it stands on the other side of that contest.
        origin="designed",
        task="text",
        summary="recurrent cell drawn at random from the ENAS recurrent space, one for each seed",
        source=f"drawn from the recurrent space of {ENAS}, section 2.1; sizes of enas-rnn",
        genotype=None,
        sizes={**_ENAS_SIZES, "seed": 0, "nodes": 12},
        spec=PENN_TREEBANK,
        encoding="ENAS recurrent",
        drawn=Drawn(draw=random_recurrent, sizes=("seed", "nodes")),
    ),
)

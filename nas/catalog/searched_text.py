"""The searched networks for text, each with its source; torch-free.

The sizes are those of the published retraining, with its dropouts.
"""

from __future__ import annotations

from nas.catalog.entry import PENN_TREEBANK, Builder, Drawn, PublishedResult, network_entry
from nas.catalog.papers import DARTS_PAPER, ENAS_PAPER, NAO_PAPER, REVIEW_PAPER
from nas.catalog.sizes import Count, Probability, Size, depth, seed
from nas.genotypes import published
from nas.genotypes.random_genotypes import random_recurrent

REVIEW_TABLE = f"{REVIEW_PAPER}, table 2"


def _released_by(source: str) -> Builder:
    """Builds a language model around the cell, with the start and the decoder of a source's release."""
    return Builder(
        "nas.recurrent.searched_language_model", "searched_language_model", {"release": source}
    )


def _sizes(
    hidden: int, *, embedding: float, x: float, cell_x: float, cell_state: float, output: float
) -> dict[str, Size]:
    return {
        "hidden": Count(hidden),
        "dropout_embedding": Probability(embedding),
        "dropout_input": Probability(x),
        "dropout_cell_input": Probability(cell_x),
        "dropout_cell_state": Probability(cell_state),
        "dropout_output": Probability(output),
    }


def _test(
    value: str, source: str, *, how: str = "", data: str = "Penn Treebank"
) -> PublishedResult:
    return PublishedResult(what=f"{data} perplexity, test{how}", value=value, source=source)


def _both(value: str, source: str, *, how: str = "") -> PublishedResult:
    what = f"Penn Treebank perplexity, validation / test{how}"
    return PublishedResult(what=what, value=value, source=source)


def _weights(value: str, source: str) -> PublishedResult:
    return PublishedResult(what="parameters", value=value, source=source)


# ptb_final.sh of melodyguan/enas; its keep probabilities e, x, h and o are .79, .25, .75 and .24.
_ENAS_SIZES = _sizes(748, embedding=0.21, x=0.0, cell_x=0.75, cell_state=0.25, output=0.76)
# The defaults of NAO/rnn/train.py and NAO-WS/rnn/train.py, which the scripts leave as they are.
_NAO_SIZES = _sizes(850, embedding=0.0, x=0.2, cell_x=0.75, cell_state=0.25, output=0.75)
# The defaults of rnn/train.py of quark0/darts at its last commit.
_DARTS_SIZES = _sizes(850, embedding=0.1, x=0.2, cell_x=0.75, cell_state=0.25, output=0.75)

TEXT = (
    network_entry(
        "enas-rnn",
        "recurrent cell of 12 nodes found by ENAS",
        f"{ENAS_PAPER}; melodyguan/enas, ptb_final.sh",
        PENN_TREEBANK,
        _released_by("enas"),
        _ENAS_SIZES,
        _test("55.8", f"{ENAS_PAPER}, abstract"),
        _test("56.3", REVIEW_TABLE, how=", as later versions of the paper have it"),
        _both("60.8 / 58.6", REVIEW_TABLE, how=", retrained by the authors of DARTS"),
        _weights("24 M", REVIEW_TABLE),
        genotype=published.ENAS_RNN,
        encoding="ENAS recurrent",
    ),
    network_entry(
        "enas-lm",
        "recurrent cell of 8 searched nodes found by the corrected ENAS code",
        "google-research/enas_lm: README (cell) and src/fixed_lib.py (sizes, dropouts)",
        PENN_TREEBANK,
        _released_by("enas_lm"),
        _sizes(800, embedding=0.125, x=0.175, cell_x=0.725, cell_state=0.225, output=0.75),
        _test("56.1 ± 0.1", "google-research/enas_lm, README", how=", 10 runs on TPUs"),
        _test("57.3 ± 0.1", "google-research/enas_lm, README", how=", 10 runs on GPUs"),
        genotype=published.ENAS_LM,
        encoding="enas_lm",
    ),
    network_entry(
        "nao-rnn",
        "recurrent cell of 11 searched nodes found by NAO",
        f"{NAO_PAPER}; renqianluo/NAO, NAO/rnn/train_ptb_final.sh (cell) and train.py (sizes, dropouts)",
        PENN_TREEBANK,
        _released_by("darts"),
        _NAO_SIZES,
        _test("56.0", f"{NAO_PAPER}, abstract"),
        _test("56.02", "renqianluo/NAO, README", how=", the released weights"),
        _test(
            "67.10",
            "renqianluo/NAO, README",
            how=", 700 units and a dropout of 0.15 on the states",
            data="WikiText-2",
        ),
        genotype=published.NAO_RNN,
        encoding="NAO recurrent",
    ),
    network_entry(
        "nao-ws-rnn",
        "recurrent cell of 11 searched nodes found by NAO with shared weights",
        f"{NAO_PAPER}; renqianluo/NAO, NAO-WS/rnn/train_final.sh (cell) and train.py (sizes, dropouts)",
        PENN_TREEBANK,
        _released_by("darts"),
        _NAO_SIZES,
        _test("56.6", f"{NAO_PAPER}, abstract"),
        _test("56.66", "renqianluo/NAO, README", how=", the released weights"),
        _test("56.80", "renqianluo/NAO, README", how=", as listed beside them"),
        genotype=published.NAO_WS_RNN,
        encoding="NAO-WS recurrent",
    ),
    network_entry(
        "darts-rnn-v1",
        "recurrent cell of 8 searched nodes found by DARTS, first order",
        f"{DARTS_PAPER}; quark0/darts, rnn/genotypes.py (cell) and rnn/train.py (sizes, dropouts)",
        PENN_TREEBANK,
        _released_by("darts"),
        _DARTS_SIZES,
        _both("60.2 / 57.6", REVIEW_TABLE),
        _weights("23 M", REVIEW_TABLE),
        genotype=published.DARTS_RNN_V1,
        encoding="DARTS recurrent",
    ),
    network_entry(
        "darts-rnn-v2",
        "recurrent cell of 8 searched nodes found by DARTS, second order",
        f"{DARTS_PAPER}; quark0/darts, rnn/genotypes.py (cell) and rnn/train.py (sizes, dropouts)",
        PENN_TREEBANK,
        _released_by("darts"),
        _DARTS_SIZES,
        _both("58.1 / 55.7", REVIEW_TABLE),
        _test("55.68", "quark0/darts, README", how=", the released weights"),
        _both("58.2 / 55.9", REVIEW_TABLE, how=", retrained"),
        _test("58.1", "google-research/enas_lm, README", how=", in the trainer of enas-lm"),
        _weights("23 M", REVIEW_TABLE),
        genotype=published.DARTS_RNN_V2,
        encoding="DARTS recurrent",
    ),
    network_entry(
        "random-rnn",
        "recurrent cell drawn at random from the ENAS recurrent space, one for each seed",
        f"drawn from the recurrent space of {ENAS_PAPER}, section 2.1; sizes of enas-rnn",
        PENN_TREEBANK,
        _released_by("enas"),
        {**_ENAS_SIZES, "seed": seed(0), "nodes": depth(12)},
        encoding="ENAS recurrent",
        drawn=Drawn(draw=random_recurrent, sizes=("seed", "nodes")),
    ),
)

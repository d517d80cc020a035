"""The networks for text, searched and designed, each with its source; torch-free."""

from __future__ import annotations

from nas.entry import PENN_TREEBANK, Figure, NetworkEntry
from nas.published import ENAS_LM, ENAS_RNN

TEXT = (
    NetworkEntry(
        name="enas-rnn",
        origin="searched",
        task="text",
        summary="recurrent cell of 12 nodes found by ENAS",
        source="Pham et al. 2018, arXiv 1802.03268; melodyguan/enas, ptb_final.sh",
        genotype=ENAS_RNN,
        sizes={
            "hidden": 748,
            "dropout_embedding": 0.21,
            "dropout_input": 0.0,
            "dropout_cell_input": 0.75,
            "dropout_cell_state": 0.25,
            "dropout_output": 0.76,
        },
        spec=PENN_TREEBANK,
    ),
    NetworkEntry(
        name="enas-lm",
        origin="searched",
        task="text",
        summary="recurrent cell of 8 searched nodes found by the corrected ENAS code",
        source="google-research/enas_lm: README (cell) and src/fixed_lib.py (sizes, dropouts)",
        genotype=ENAS_LM,
        sizes={
            "hidden": 800,
            "dropout_embedding": 0.125,
            "dropout_input": 0.175,
            "dropout_cell_input": 0.725,
            "dropout_cell_state": 0.225,
            "dropout_output": 0.75,
        },
        spec=PENN_TREEBANK,
    ),
    NetworkEntry(
        name="awd-lstm",
        origin="designed",
        task="text",
        summary="LSTM with DropConnect and locked dropouts; sizes for the Penn Treebank",
        source="Merity et al. 2018, arXiv 1708.02182, section 5",
        genotype=None,
        sizes={
            "embedding": 400,
            "hidden": 1150,
            "layers": 3,
            "dropout_embedding": 0.1,
            "dropout_input": 0.4,
            "dropout_hidden": 0.3,
            "dropout_output": 0.4,
            "dropconnect": 0.5,
        },
        spec=PENN_TREEBANK,
        published=(
            Figure(
                what="Penn Treebank perplexity, validation / test",
                value="60.0 / 57.3",
                source="Merity et al. 2018, table 1",
            ),
        ),
    ),
    NetworkEntry(
        name="lstm",
        origin="designed",
        task="text",
        summary="LSTM without any dropout: the baseline",
        source="Zaremba et al. 2014, arXiv 1409.2329, section 4.1: the non-regularized sizes",
        genotype=None,
        sizes={"embedding": 200, "hidden": 200, "layers": 2},
        spec=PENN_TREEBANK,
    ),
)

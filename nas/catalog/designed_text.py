"""The hand-designed networks for text, each with its source; torch-free."""

from __future__ import annotations

from nas.catalog.entry import PENN_TREEBANK, Figure, NetworkEntry
from training.specs import TextSpec

WIKITEXT_2 = TextSpec(vocabulary=33_278)

LSTMS = (
    NetworkEntry(
        name="awd-lstm",
        origin="designed",
        task="text",
        summary="LSTM with DropConnect and locked dropouts; sizes for the Penn Treebank",
        source="Merity et al. 2018, arXiv 1708.02182, section 5; second_bias 1 for awd-lstm-lm's two biases",
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
            "second_bias": 0,
            "tied": 1,
        },
        spec=PENN_TREEBANK,
        published=(
            Figure(
                what="Penn Treebank perplexity, validation / test",
                value="60.0 / 57.3",
                source="Merity et al. 2018, table 1",
            ),
            Figure(
                what="WikiText-2 perplexity, validation / test, dropout_input 0.65",
                value="68.6 / 65.8",
                source="Merity et al. 2018, table 2",
            ),
            Figure(
                what="parameters on the Penn Treebank",
                value="24M",
                source="Merity et al. 2018, table 1",
            ),
        ),
    ),
    NetworkEntry(
        name="on-lstm",
        origin="designed",
        task="text",
        summary="LSTM whose units are ordered by master gates; sizes for the Penn Treebank",
        source="Shen et al. 2019, arXiv 1810.09536, section 5.1; yikangshen/Ordered-Neurons, README",
        genotype=None,
        sizes={
            "embedding": 400,
            "hidden": 1150,
            "layers": 3,
            "chunk": 10,
            "dropout_embedding": 0.1,
            "dropout_input": 0.5,
            "dropout_hidden": 0.3,
            "dropout_output": 0.45,
            "dropconnect": 0.45,
        },
        spec=PENN_TREEBANK,
        published=(
            Figure(
                what="Penn Treebank perplexity, validation / test",
                value="58.29 ± 0.10 / 56.17 ± 0.12",
                source="Shen et al. 2019, table 1",
            ),
            Figure(
                what="parameters on the Penn Treebank",
                value="25M",
                source="Shen et al. 2019, table 1",
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
    NetworkEntry(
        name="gru",
        origin="designed",
        task="text",
        summary="gated recurrent units without any dropout: the other baseline",
        source="Cho et al. 2014, arXiv 1406.1078, in the form of torch.nn.GRU; sizes of lstm",
        genotype=None,
        sizes={"embedding": 200, "hidden": 200, "layers": 2},
        spec=PENN_TREEBANK,
    ),
    NetworkEntry(
        name="lstm-yu",
        origin="designed",
        task="text",
        summary="LSTM of two layers in which tickets were found by late rewinding",
        source="Yu et al. 2020, arXiv 1906.02768: the language model of WikiText-2",
        genotype=None,
        sizes={"hidden": 650, "layers": 2, "dropout_hidden": 0.5},
        spec=WIKITEXT_2,
    ),
)

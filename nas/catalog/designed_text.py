"""The hand-designed networks for text, each with its source; torch-free."""

from __future__ import annotations

from nas.catalog.entry import PENN_TREEBANK, WIKITEXT_2, Builder, PublishedResult, network_entry
from nas.catalog.sizes import Count, Probability, depth, switch

LSTMS = (
    network_entry(
        "awd-lstm",
        "LSTM with DropConnect and locked dropouts; sizes for the Penn Treebank",
        "Merity et al. 2018, arXiv 1708.02182, section 5; second_bias 1 for awd-lstm-lm's two biases",
        PENN_TREEBANK,
        Builder("nas.recurrent.awd_lstm", "awd_lstm"),
        {
            "embedding": Count(400),
            "hidden": Count(1150),
            "layers": depth(3),
            "dropout_embedding": Probability(0.1),
            "dropout_input": Probability(0.4),
            "dropout_hidden": Probability(0.3),
            "dropout_output": Probability(0.4),
            "dropconnect": Probability(0.5),
            "second_bias": switch(0),
            "tied": switch(1),
        },
        PublishedResult(
            what="Penn Treebank perplexity, validation / test",
            value="60.0 / 57.3",
            source="Merity et al. 2018, table 1",
        ),
        PublishedResult(
            what="WikiText-2 perplexity, validation / test, dropout_input 0.65",
            value="68.6 / 65.8",
            source="Merity et al. 2018, table 2",
        ),
        PublishedResult(
            what="parameters on the Penn Treebank",
            value="24M",
            source="Merity et al. 2018, table 1",
        ),
    ),
    network_entry(
        "on-lstm",
        "LSTM whose units are ordered by master gates; sizes for the Penn Treebank",
        "Shen et al. 2019, arXiv 1810.09536, section 5.1; yikangshen/Ordered-Neurons, README",
        PENN_TREEBANK,
        Builder("nas.recurrent.on_lstm", "on_lstm"),
        {
            "embedding": Count(400),
            "hidden": Count(1150),
            "layers": depth(3),
            "chunk": Count(10),
            "dropout_embedding": Probability(0.1),
            "dropout_input": Probability(0.5),
            "dropout_hidden": Probability(0.3),
            "dropout_output": Probability(0.45),
            "dropconnect": Probability(0.45),
        },
        PublishedResult(
            what="Penn Treebank perplexity, validation / test",
            value="58.29 ± 0.10 / 56.17 ± 0.12",
            source="Shen et al. 2019, table 1",
        ),
        PublishedResult(
            what="parameters on the Penn Treebank",
            value="25M",
            source="Shen et al. 2019, table 1",
        ),
    ),
    network_entry(
        "lstm",
        "LSTM without any dropout: the baseline",
        "Zaremba et al. 2014, arXiv 1409.2329, section 4.1: the non-regularized sizes",
        PENN_TREEBANK,
        Builder("nas.recurrent.awd_lstm", "lstm"),
        {"embedding": Count(200), "hidden": Count(200), "layers": depth(2)},
    ),
    network_entry(
        "gru",
        "gated recurrent units without any dropout: the other baseline",
        "Cho et al. 2014, arXiv 1406.1078, in the form of torch.nn.GRU; sizes of lstm",
        PENN_TREEBANK,
        Builder("nas.recurrent.gru", "gru"),
        {"embedding": Count(200), "hidden": Count(200), "layers": depth(2)},
    ),
    network_entry(
        "lstm-yu",
        "LSTM of two layers in which tickets were found by late rewinding",
        "Yu et al. 2020, arXiv 1906.02768: the language model of WikiText-2",
        WIKITEXT_2,
        Builder("nas.recurrent.awd_lstm", "lstm_yu"),
        {"hidden": Count(650), "layers": depth(2), "dropout_hidden": Probability(0.5)},
    ),
)

"""Published genotypes, each with the file or figure that it was taken from; torch-free."""

from __future__ import annotations

from nas.genotypes.convolutional_encodings import parse_enas_macro, parse_enas_micro, parse_nao
from nas.genotypes.darts_encoding import parse_darts, parse_darts_recurrent
from nas.genotypes.recurrent_encodings import (
    parse_enas_lm,
    parse_enas_rnn,
    parse_nao_rnn,
    parse_nao_ws_rnn,
)

# cifar10_micro_final.sh of melodyguan/enas.
ENAS_MICRO = parse_enas_micro(
    "0 2 0 0  0 4 0 1  0 4 1 1  1 0 0 1  0 2 1 1  1 0 1 0  0 3 0 2  1 1 3 1  1 0 0 4  0 3 1 1"
)
# Pham et al. 2018, arXiv 1802.03268, figure 8, as cnn/dag.py of renqianluo/NAO (`ENAS`) has it.
ENAS_MICRO_PAPER = parse_enas_micro(
    "1 0 1 4  1 1 0 4  0 2 1 0  0 0 1 2  1 1 0 2  0 1 1 2  1 0 1 2  1 2 1 0  4 1 1 2  5 0 0 1"
)
# cifar10_macro_final.sh of melodyguan/enas; the network of 12 layers in figure 7 of the paper is
# not available as data.
ENAS_MACRO = parse_enas_macro(
    """
    0
    3 0
    0 1 0
    2 0 0 1
    2 0 0 0 0
    3 1 1 0 1 0
    2 0 0 0 0 0 1
    2 0 1 1 0 1 1 1
    1 0 1 1 1 0 1 0 1
    0 0 0 0 0 0 0 0 0 0
    2 0 0 0 0 0 1 0 0 0 0
    0 1 0 0 1 1 0 0 0 0 1 1
    2 0 1 0 0 0 0 0 1 0 1 1 0
    1 0 0 1 0 0 0 1 1 1 0 1 0 1
    0 1 1 0 1 0 1 0 0 0 0 0 1 0 0
    2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1
    2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0
    2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1
    3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0
    3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1
    0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0
    3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0
    0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0
    0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0
    """
)
# NAO_V1/train_NAONet_A_36_cifar10.sh of NAO_pytorch. The third node of the reduction cell has its
# inputs the other way round in cnn/dag.py of renqianluo/NAO: 1x7-7x1 there reads state 1.
NAONET_A = parse_nao(
    "0 7 1 15  2 8 1 7  0 6 1 7  0 8 4 7  1 5 0 7  0 7 1 13  0 6 0 14  0 9 1 10  0 14 2 6  1 11 0 7"
)
# NAO_V1/train_NAONet_B_36_cifar10.sh of NAO_pytorch.
NAONET_B = parse_nao(
    "0 1 0 2  0 1 2 2  1 3 0 2  4 0 1 3  2 1 0 3  1 1 1 0  2 1 2 4  1 0 2 3  3 1 2 2  0 2 0 2"
)
# NAO-WS/cnn/train_final.sh of renqianluo/NAO.
NAO_WS_CNN = parse_nao(
    "0 1 0 4  2 2 1 3  1 0 2 0  2 3 1 3  1 2 0 4  1 1 0 3  2 3 2 3  1 0 0 1  0 4 2 4  2 3 2 3"
)
# NAO_V2/train_NAONet_V2_36_cifar10.sh of NAO_pytorch.
NAO_V2 = parse_nao(
    "1 1 0 1  2 4 0 0  0 0 2 1  0 0 0 2  0 3 0 0  0 2 0 2  2 2 1 0  0 0 0 1  0 0 0 3  0 0 0 1"
)

# The next four: cnn/genotypes.py of quark0/darts.
DARTS_V1 = parse_darts(
    """
    {"normal": [["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["skip_connect", 0], ["sep_conv_3x3", 1],
                ["skip_connect", 0], ["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["skip_connect", 2]],
     "normal_concat": [2, 3, 4, 5],
     "reduce": [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["skip_connect", 2], ["max_pool_3x3", 0],
                ["max_pool_3x3", 0], ["skip_connect", 2], ["skip_connect", 2], ["avg_pool_3x3", 0]],
     "reduce_concat": [2, 3, 4, 5]}
    """
)
DARTS_V2 = parse_darts(
    """
    {"normal": [["sep_conv_3x3", 0], ["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["sep_conv_3x3", 1],
                ["sep_conv_3x3", 1], ["skip_connect", 0], ["skip_connect", 0], ["dil_conv_3x3", 2]],
     "normal_concat": [2, 3, 4, 5],
     "reduce": [["max_pool_3x3", 0], ["max_pool_3x3", 1], ["skip_connect", 2], ["max_pool_3x3", 1],
                ["max_pool_3x3", 0], ["skip_connect", 2], ["skip_connect", 2], ["max_pool_3x3", 1]],
     "reduce_concat": [2, 3, 4, 5]}
    """
)
# Zoph et al. 2018, arXiv 1707.07012, figure 4, concatenates state 0 of the normal cell too.
NASNET_A = parse_darts(
    """
    {"normal": [["sep_conv_5x5", 1], ["sep_conv_3x3", 0], ["sep_conv_5x5", 0], ["sep_conv_3x3", 0],
                ["avg_pool_3x3", 1], ["skip_connect", 0], ["avg_pool_3x3", 0], ["avg_pool_3x3", 0],
                ["sep_conv_3x3", 1], ["skip_connect", 1]],
     "normal_concat": [2, 3, 4, 5, 6],
     "reduce": [["sep_conv_5x5", 1], ["sep_conv_7x7", 0], ["max_pool_3x3", 1], ["sep_conv_7x7", 0],
                ["avg_pool_3x3", 1], ["sep_conv_5x5", 0], ["skip_connect", 3], ["avg_pool_3x3", 2],
                ["sep_conv_3x3", 2], ["max_pool_3x3", 1]],
     "reduce_concat": [4, 5, 6]}
    """
)
# cnn/dag.py of renqianluo/NAO disagrees: there both edges of the first normal node read state 0.
AMOEBANET_A = parse_darts(
    """
    {"normal": [["avg_pool_3x3", 0], ["max_pool_3x3", 1], ["sep_conv_3x3", 0], ["sep_conv_5x5", 2],
                ["sep_conv_3x3", 0], ["avg_pool_3x3", 3], ["sep_conv_3x3", 1], ["skip_connect", 1],
                ["skip_connect", 0], ["avg_pool_3x3", 1]],
     "normal_concat": [4, 5, 6],
     "reduce": [["avg_pool_3x3", 0], ["sep_conv_3x3", 1], ["max_pool_3x3", 0], ["sep_conv_7x7", 2],
                ["sep_conv_7x7", 0], ["avg_pool_3x3", 1], ["max_pool_3x3", 0], ["max_pool_3x3", 1],
                ["conv_7x1_1x7", 0], ["sep_conv_3x3", 5]],
     "reduce_concat": [3, 4, 6]}
    """
)

# `CellBase` in pretrainedmodels/models/pnasnet.py of Cadene/pretrained-models.pytorch (left is state
# 0, right 1); one cell serves as both. There the identity of a reduction is a strided 1x1.
_PNASNET_5_NODES = """
    [["sep_conv_5x5", 0], ["max_pool_3x3", 0], ["sep_conv_7x7", 1], ["max_pool_3x3", 1],
     ["sep_conv_5x5", 1], ["sep_conv_3x3", 1], ["sep_conv_3x3", 4], ["max_pool_3x3", 1],
     ["sep_conv_3x3", 0], ["skip_connect", 1]]
"""
PNASNET_5 = parse_darts(
    f"""
    {{"normal": {_PNASNET_5_NODES}, "normal_concat": [2, 3, 4, 5, 6],
      "reduce": {_PNASNET_5_NODES}, "reduce_concat": [2, 3, 4, 5, 6]}}
    """
)

# ptb_final.sh of melodyguan/enas.
ENAS_RNN = parse_enas_rnn("0  0 0  1 1  2 1  2 0  2 0  5 1  1 0  6 1  8 1  8 1  8 1")
# README of google-research/enas_lm.
ENAS_LM = parse_enas_lm("0 2  1 0  2 1  2 2  4 0  5 0  3 2  6 2")
# NAO/rnn/train_ptb_final.sh and train_wt2_final.sh of renqianluo/NAO.
NAO_RNN = parse_nao_rnn("0 1  0 1  1 1  3 0  4 1  4 1  5 1  1 1  7 1  1 1  1 2")
# NAO-WS/rnn/train_final.sh of renqianluo/NAO.
NAO_WS_RNN = parse_nao_ws_rnn("0 1  1 1  2 2  1 2  4 1  4 1  4 1  7 1  8 2  1 0  4 1")
# The next two: rnn/genotypes.py of quark0/darts.
DARTS_RNN_V1 = parse_darts_recurrent(
    """
    {"recurrent": [["relu", 0], ["relu", 1], ["tanh", 2], ["relu", 3], ["relu", 4],
                   ["identity", 1], ["relu", 5], ["relu", 1]],
     "concat": [1, 2, 3, 4, 5, 6, 7, 8]}
    """
)
DARTS_RNN_V2 = parse_darts_recurrent(
    """
    {"recurrent": [["sigmoid", 0], ["relu", 1], ["relu", 1], ["identity", 1], ["tanh", 2],
                   ["sigmoid", 5], ["tanh", 3], ["relu", 5]],
     "concat": [1, 2, 3, 4, 5, 6, 7, 8]}
    """
)

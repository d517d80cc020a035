"""Where the values of published searches come from, and what these do otherwise than their releases; torch-free."""

from __future__ import annotations

ENAS = "Pham et al. 2018, arXiv 1802.03268"
NAO = "Luo et al. 2018, arXiv 1808.07233"
ENAS_MICRO_SOURCE = (
    f"{ENAS}, section 2.4; melodyguan/enas, scripts/cifar10_micro_search.sh: 6 cells and 2 reductions of 20 "
    "channels, batches of 160, 150 epochs, learning rate 0.05 to 5e-4 by cosines of 10, 20, 40 and 80 epochs (there "
    "from epoch to epoch, here from step to step), SGD with Nesterov momentum 0.9, l2_reg 1e-4 without the half, "
    "which is weight decay 2e-4, dropout 0.1, also while rewards are taken, an auxiliary head at 0.4 (trained here, "
    "as it was drawn there), 30 updates of the controller of 10 samples after each epoch, rewards on 160 images by "
    "batch statistics; the shared network is wired as the one that is retrained, with batch normalisation per edge"
)
ENAS_MACRO_SOURCE = (
    f"{ENAS}, section 2.3; melodyguan/enas, scripts/cifar10_macro_search.sh: 12 layers of 36 channels, batches of "
    "128, 310 epochs, learning rate 0.05 to 5e-4 by cosines of 10, 20, ... 160 epochs (there from epoch to epoch, "
    "here from step to step), SGD with Nesterov momentum 0.9, l2_reg 2.5e-4 without the half, which is weight decay "
    "5e-4, dropout 0.1, not while rewards are taken, 50 updates of the controller of 20 samples after each epoch, "
    "rewards on 128 images, there by moving averages of all architectures' statistics, here by batch statistics; "
    "layers are joined and widened here as in the network that is retrained; the 12 layers are retrained as they "
    "are, where the release retrains 24 that no script finds"
)
ENAS_RNN_SOURCE = (
    f"{ENAS}, section 2.1; melodyguan/enas, scripts/ptb_search.sh and src/ptb/ptb_enas_child.py: 12 nodes of 720 "
    "units, all weights uniform within 0.04 at first, batches of 20, windows of 35, 100 epochs of SGD at learning "
    "rate 0.25, times 0.95 after each epoch from the 13th on, norm clipped at 10, l2_reg 1e-7 without the half, "
    "which is weight decay 2e-7 (before clipping there, after it here), dropouts 0.25 (words, for each sequence "
    "there, for the whole batch here), 0.75 (cell's input), 0.25 (states) and 0.75 (output), 100 updates of the "
    "controller of 10 samples after each epoch, reward 80 / perplexity of a window of 20 columns; its loss is a sum "
    "over the window, ours a mean: so 35 times its rate and 1/35 of its norm and decay; no batch normalisation "
    "here; the repository says of its own language model that it is wrong, so that its perplexities are no target"
)
NAO_CELL_SOURCE = (
    f"{NAO}, section 4; renqianluo/NAO, NAO/cnn, train_cifar10_search.sh: candidates of 3 cells per stage and 32 "
    "channels, trained alone for 25 epochs in batches of 128, learning rate 0.024 falling as a cosine of 100 "
    "epochs, SGD with momentum 0.9, weight decay 5e-4, norm clipped at 5, drop-path to 0.3, an auxiliary head at "
    "0.4; wired here as ENAS; a candidate's score is its accuracy at the least validation loss here, its best "
    "accuracy there"
)
NAO_WS_CELL_SOURCE = (
    f"{NAO}, section 4.3; renqianluo/NAO_pytorch, NAO_V1/train_search.py: 3 cells per stage of 20 channels, batches "
    "of 64, 150 epochs, learning rate 0.025 to 0.001 by a cosine (there from epoch to epoch), SGD with momentum "
    "0.9, weight decay 3e-4, norm clipped at 5, each architecture scored on 500 images by batch statistics; no "
    "drop-path here, to 0.1 there; wired here as ENAS"
)
NAO_RNN_SOURCE = (
    f"{NAO}, section 4.3; renqianluo/NAO, NAO-WS/rnn: 11 searched nodes of 300 units, all weights uniform within "
    "0.04 at first, batches of 256, windows of 35, one in twenty of 17 and at that share of the rate, 1000 epochs "
    "of SGD at learning rate 0.25, norm clipped at 10, weight decay 5e-7, slowness 1e-3, dropouts 0.2 (input), 0.75 "
    "(cell's input), 0.25 (states) and 0.75 (output), each architecture scored on a window of 256 columns; that "
    "search averages the first state too, as the network that is retrained does not, and has a matrix for each "
    "activation of a node and a bias of the decoder"
)

"""Settings of NAO, and the published ones by space; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.errors import require


@dataclass(frozen=True, kw_only=True)
class NaoConfig:
    """How architectures are optimized in the space of their embeddings (Luo et al. 2018, arXiv 1808.07233).

    `NAO_DEFAULTS` has the published values of each space.

    Attributes:
        pool: architectures drawn at random at the start.
        top: best ones of the pool whose embeddings are moved, and which stay in it.
        new: architectures that a round looks for.
        random: architectures drawn at random that come with them.
        rounds: how often the pool is renewed; it is scored once more after the last.
        every: phases of the shared weights before each scoring, where there are shared weights.
        step: by how much the step size grows, and the first one.
        largest_step: the last step size, whether or not enough new architectures were found; 51 in NAO_pytorch, whose
            `max_step_size` of 50 is compared after a step was taken.
        target: what is predicted of a language model: its reward, or its loss or its perplexity, from the worst of the
            pool, 0, to the best, 1. NAO-WS takes the loss, NAO the perplexity. Of images all are the accuracy.
        split_operations: whether an operation of cells is two tokens, its kind and its kernel, as in NAO without
            sharing.
        tokens_per_step: tokens that the encoder reads at once: an edge's in the releases for cells.
        embedding: width of a token's embedding in the encoder.
        hidden: width of the encoder's and the decoder's states, and of an architecture's embedding.
        predictor_layers: hidden layers of the predictor; 0 for a linear one.
        predictor_width: of each.
        encoder_dropout: of embedded tokens.
        predictor_dropout: behind each hidden layer.
        trade_off: weight of the predictor's loss, λ; that of the decoder's is 1 - λ.
        epochs: of encoder, predictor and decoder over the pool in each round.
        continued: what of them goes on into the next round: nothing, so that they start anew, as where NAO is used
            without sharing; their weights, as in NAO_pytorch; or also Adam's moments, as in NAO-WS of renqianluo/NAO.
        batch_size: architectures per step.
        learning_rate: of Adam.
        weight_decay: added to the gradient.
        clip_norm: largest norm of the gradient.
        swaps: copies of each architecture of cells to train on beside it, with a node's two edges exchanged in each
            cell; NAO_pytorch has them with `--controller_expand`.
        fresh_swaps: whether a node's two edges are exchanged in each cell anew each time that an architecture is
            trained on; so NAO_pytorch does, unless it has copies.
        hold_out: the probability that an architecture is never trained on, and says how good the predictor is. All are
            trained on in the releases, which tell how well the predictor knows what it was trained on.
    """

    pool: int = 600
    top: int = 100
    new: int = 300
    random: int = 0
    rounds: int = 4
    every: int = 30
    step: int = 1
    largest_step: int = 51
    target: Literal["reward", "loss", "perplexity"] = "reward"
    split_operations: bool = False
    tokens_per_step: int = 2
    embedding: int = 48
    hidden: int = 96
    predictor_layers: int = 3
    predictor_width: int = 200
    encoder_dropout: float = 0.0
    predictor_dropout: float = 0.1
    trade_off: float = 0.8
    epochs: int = 1000
    continued: Literal["nothing", "weights", "weights-and-moments"] = "weights"
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    swaps: int = 0
    fresh_swaps: bool = True
    hold_out: float = 0.0

    def __post_init__(self) -> None:
        self._check_rounds()
        for name, width in (
            ("tokens_per_step", self.tokens_per_step),
            ("embedding", self.embedding),
            ("hidden", self.hidden),
            ("predictor_width", self.predictor_width),
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
        ):
            require(width >= 1, name, width, "1 or more")
        require(self.predictor_layers >= 0, "predictor_layers", self.predictor_layers, "0 or more")
        for name, share in (
            ("encoder_dropout", self.encoder_dropout),
            ("predictor_dropout", self.predictor_dropout),
        ):
            require(0 <= share < 1, name, share, "from 0 to below 1")
        # With 1 the decoder would learn nothing, with 0 the predictor.
        require(0 < self.trade_off < 1, "trade_off", self.trade_off, "between 0 and 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")
        require(self.swaps >= 0, "swaps", self.swaps, "0 or more")
        require(0 <= self.hold_out <= 0.5, "hold_out", self.hold_out, "from 0 to 0.5")

    @property
    def scorings(self) -> int:
        """How often a search scores the pool: before each renewal, and after the last."""
        return self.rounds + 1

    def _check_rounds(self) -> None:
        require(self.pool >= 2, "pool", self.pool, "2 or more")
        require(1 <= self.top <= self.pool, "top", self.top, f"from 1 to pool, {self.pool}")
        require(self.new >= 1, "new", self.new, "1 or more")
        require(self.random >= 0, "random", self.random, "0 or more")
        require(self.rounds >= 1, "rounds", self.rounds, "1 or more")
        require(self.every >= 1, "every", self.every, "1 or more")
        require(self.step >= 1, "step", self.step, "1 or more")
        require(
            self.largest_step >= self.step,
            "largest_step",
            self.largest_step,
            f"step, {self.step}, or more",
        )


_SHARED_CELL = NaoConfig()  # train_search.py of renqianluo/NAO_pytorch, V1
_ALONE_CELL = NaoConfig(  # NAO/cnn/epd/train.sh, generate.sh and generate_data.py of renqianluo/NAO, and its README
    pool=1000,
    rounds=3,
    step=10,
    largest_step=30,
    split_operations=True,
    tokens_per_step=3,
    embedding=32,
    predictor_layers=0,
    predictor_width=100,
    encoder_dropout=0.1,
    predictor_dropout=0.0,
    continued="nothing",
    batch_size=50,
    fresh_swaps=False,
)
_SHARED_RECURRENT = NaoConfig(  # NAO-WS/rnn of renqianluo/NAO
    pool=1000,
    random=50,
    every=200,
    largest_step=30,
    target="loss",
    predictor_layers=4,
    encoder_dropout=0.1,
    predictor_dropout=0.0,
    continued="weights-and-moments",
    fresh_swaps=False,
)
_ALONE_RECURRENT = NaoConfig(  # NAO/rnn/epd and generate_data.py of renqianluo/NAO
    pool=1508,
    rounds=3,
    step=10,
    largest_step=30,
    target="perplexity",
    tokens_per_step=1,
    embedding=96,
    encoder_dropout=0.1,
    continued="nothing",
    batch_size=50,
    fresh_swaps=False,
)
# NAO was published for cells and for recurrent cells; layers take what holds for cells, one decision at a time.
_SHARED_LAYERS = NaoConfig(tokens_per_step=1, fresh_swaps=False)
_ALONE_LAYERS = NaoConfig(
    pool=1000,
    rounds=3,
    step=10,
    largest_step=30,
    tokens_per_step=1,
    encoder_dropout=0.1,
    continued="nothing",
    batch_size=50,
    fresh_swaps=False,
)

# (space, whether there are shared weights: NAO-WS) -> its settings.
NAO_DEFAULTS: dict[tuple[str, bool], NaoConfig] = {
    ("cell", True): _SHARED_CELL,
    ("cell", False): _ALONE_CELL,
    ("layers", True): _SHARED_LAYERS,
    ("layers", False): _ALONE_LAYERS,
    ("recurrent", True): _SHARED_RECURRENT,
    ("recurrent", False): _ALONE_RECURRENT,
}

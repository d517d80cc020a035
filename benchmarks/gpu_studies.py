"""The studies of `gpu_study.py`: which recipes with which changes; torch-free."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Study:
    """A run of `lottery prune` or `retrain`.

    Attributes:
        name: of its folder.
        command: prune or retrain.
        recipe: what is carried out.
        changes: fields of the recipe, as after --set.
        options: further words of the command.
        data: the data set that has to be there; "" for none.
        limit: seconds that it may take in the first round.
        figures: that are drawn of it.
    """

    name: str
    command: str
    recipe: str
    changes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    data: str = ""
    limit: float
    figures: tuple[str, ...]

    def words(self) -> list[str]:
        """The words of the command, without its folder."""
        sets = [word for change in self.changes for word in ("--set", change)]
        return [self.command, self.recipe, *sets, *self.options]


LEVELS = ("metric-vs-density", "early-stop-vs-density")
ARMS = 'arms=["reinitialised", "random-mask"]'
STUDIES = (
    Study(
        name="lenet",
        command="prune",
        recipe="lth-lenet",
        changes=(ARMS,),
        # To 1.5 % of the weights.
        options=("--levels", "19"),
        data="mnist",
        limit=190,
        figures=LEVELS,
    ),
    Study(
        name="resnet-20",
        command="prune",
        recipe="lmc-resnet20",
        # A tenth of the published training, everything in its place.
        changes=(
            *('arms=["random-mask"]', "training.steps=6300it", "rewinding.step=200it"),
            'training.schedule.milestones=["3200it", "4800it"]',
        ),
        options=("--levels", "8", "--precision", "bf16"),
        data="cifar-10",
        limit=70,
        figures=LEVELS,
    ),
    Study(
        name="awd-lstm",
        command="retrain",
        recipe="awd-lstm-ptb",
        changes=("training.steps=12ep", "training.averaging.finetune=0it"),
        options=("--seeds", "0", "--precision", "bf16"),
        data="ptb",
        limit=60,
        figures=("learning-curves",),
    ),
)
DIGITS = ("data.name=digits", "data.options.validation=297", "training.batch_size=20")
SHORT = ("training.steps=20it", "training.eval_every=10it")
REHEARSED = (
    Study(
        name="lenet",
        command="prune",
        recipe="lth-lenet",
        changes=(*DIGITS, *SHORT, ARMS, "network.size.widths=[8, 6]"),
        options=("--levels", "1", "--seeds", "0,1"),
        limit=60,
        figures=LEVELS,
    ),
    Study(
        name="resnet-20",
        command="prune",
        recipe="lmc-resnet20",
        changes=(
            *(*DIGITS, *SHORT, "rewinding.step=5it", "network.size.depth=8"),
            *("network.size.width=2", 'training.schedule.milestones=["10it", "15it"]'),
        ),
        options=("--levels", "1", "--seeds", "0"),
        limit=60,
        figures=LEVELS,
    ),
    Study(
        name="awd-lstm",
        command="retrain",
        recipe="awd-lstm-ptb-small",
        changes=(
            *(*SHORT, "rewinding.step=5it", "data.name=pydoc"),
            *(
                "data.options.train=2000",
                "network.size.hidden=8",
                "training.averaging.finetune=0it",
            ),
        ),
        options=("--seeds", "0"),
        limit=60,
        figures=("learning-curves",),
    ),
)

"""What retrained networks of searches say: whether they beat those of random search, and ones drawn at random."""

from __future__ import annotations

import pandas as pd

from analysis.answers import Answer
from analysis.architecture_answers import at_equal_parameters, gain, tested_by, values_of
from analysis.judging import MINIMUM_N, judge
from analysis.rows import results_at
from analysis.significance import welch
from analysis.summaries import summarise
from analysis.tables import Study
from nas.catalog.catalog import is_drawn
from nas.search.methods import BASELINE, learning

RANDOM_SEARCH = "random search"
DRAWN = "architectures drawn at random"
# What retrained networks are compared with -> the methods that they are of.
CONTROLS = {RANDOM_SEARCH: (*learning(),), DRAWN: (*learning(), RANDOM_SEARCH)}


def retraining_answers(study: Study) -> list[Answer]:
    """Per data set: do retrained networks of searches beat those of random search, and ones drawn at random.

    The unit is an architecture, its value the mean over the seeds of its retraining: seeds of one architecture say
    nothing about the next search. One of which a seed diverged ranks below all others. Runs whose training differs are
    not compared.

    Args:
        study: of runs that `lottery retrain` or `lottery prune` made; those that no search found are passed over.
    """
    rows = results_at(study.table)
    rows = rows[rows["level"] == 0]
    means = summarise(rows, ["run", "data", "parameters", "higher_is_better"])
    means["value"] = means["mean"].mask(means["diverged"] > 0)
    means["method"] = [_method(study, run) for run in means["run"]]
    means["budget"] = [
        str(study.descriptions[run]["experiment"].get("training")) for run in means["run"]
    ]
    answers = []
    for (data, _), alike in means.groupby(["data", "budget"], sort=False):
        for control, methods in CONTROLS.items():
            theirs = alike[alike["method"] == control]
            for method in methods:
                ours = alike[alike["method"] == method]
                if len(ours) and len(theirs):
                    question = f"Does {method} beat {control} on {data} at equal retraining"
                    answers += _retrained(question, ours, theirs)
    return answers


def _retrained(question: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Answer]:
    higher = bool(ours["higher_is_better"].iloc[0])
    mine, other = (values_of(side["value"]) for side in (ours, theirs))
    found = welch(mine, other, higher_is_better=higher)
    too_few = min(found.ours, found.theirs) < MINIMUM_N
    few = f"; at least {MINIMUM_N} of each are needed" if too_few else ""
    plain = Answer(
        question=f"{question}?",
        answer=f"{mine.size} architectures against {other.size}, each the mean of its seeds: an advantage of "
        f"{gain(found)} ({tested_by(found)}){few}.",
        verdict=judge(found, found.p, found.p_opposite),
    )
    sizes = [values_of(side["parameters"]) for side in (ours, theirs)]
    what = "better than the others would be at their sizes"
    sized = f"{question} and parameters?"
    return [plain, *at_equal_parameters(sized, what, mine, other, *sizes, higher_is_better=higher)]


def _method(study: Study, run: str) -> str:
    network = study.descriptions[run]["experiment"].get("network", {})
    if is_drawn(network.get("name", "")):
        return DRAWN
    method = str((network.get("found") or {}).get("method", ""))
    return RANDOM_SEARCH if method == BASELINE else method

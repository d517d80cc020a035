"""What the commands refuse: one sentence, a documented exit code, and nothing lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lottery.experiments import RUN_FOLDER
from tests.commands import done, lottery, refused
from tests.fake_searches import write_search
from tests.tiny_runs import TOML, files
from training.errors import ExitCode
from training.folders import locked
from training.work_folders import stored_config

RUN = "results/runs/tiny"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a tiny experiment in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run that tests only read."""
    root = tmp_path_factory.mktemp("cli") / "tiny"
    toml = root.with_suffix(".toml")
    toml.write_text(TOML)
    done("prune", toml, "--out", root, "--quiet")
    before = files(root)
    yield root
    assert files(root) == before


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("prune demo-digits-ena", "did you mean demo-digits-enas"),
        ("prune tiny.toml --set name=../x", "letters, digits"),
        ("prune tiny.toml --set rewinding.weights=keep", "random-mask needs values"),
        (
            "prune demo-text-lstm --set pruning.scope=layerwise --set pruning.output_rate=0.1",
            "its output layer, embedding.weight, is not among what is pruned",
        ),
        ("prune tiny.toml --set pruning.rat=0.5", "did you mean pruning.rate"),
        ("prune tiny.toml --set pruning.scope=layers", "global, layerwise"),
        ("prune tiny.toml --set pruning.schedule=lsted", "did you mean listed"),
        ("prune tiny.toml --set pruning.schedule=listed", "must be one for each of 2 levels"),
        ("prune tiny.toml --set pruning.densities=[0.5]", "left out unless schedule is listed"),
        ("prune tiny.toml --set copies=0", "copies = 0 is out of range"),
        ("prune tiny.toml --set network.name=lenet-300-10", "did you mean lenet-300-100"),
        ("prune tiny.toml --set network.size.width=3", "did you mean widths"),
        ("prune tiny.toml --set network.size.widths=[0]", "from 1 to 65,536"),
        ("prune tiny.toml --set data.name=digit", "did you mean digits"),
        ("prune tiny.toml --set data.options.validatio=3", "did you mean validation"),
        ("prune tiny.toml --set arms=['reinitialized']", "did you mean reinitialised"),
        ("prune tiny.toml --set pruning.criterion=magnitudes", "did you mean magnitude"),
        ("prune tiny.toml --set pruning.rate=nan", "not finite"),
        ("prune tiny.toml --set training.optimizer.learning_rate=inf", "not finite"),
        ("prune tiny.toml --set pruning.rate=1.0", "from 0 to below 1"),
        ("prune tiny.toml --set training.batch_size=0", "1 or more"),
        (
            "prune demo-text-lstm --set training.auxiliary_weight=0.3",
            "training.auxiliary_weight is for classifiers of images, but pydoc are text; leave it out.",
        ),
        ("prune tiny.toml --set training.batch_size=1001", "choose at most that many"),
        ("prune tiny.toml --set training.steps=5x", "2ep, 500it"),
        ("prune tiny.toml --set rewinding.step=20", "before the last step"),
        ("prune tiny.toml --set levels", "FIELD=VALUE"),
        ("prune zzz", "`lottery recipes` lists all"),
        ("prune runs/old", "neither a folder or file runs/old nor a recipe of that name"),
        ("prune old.json", "neither a folder or file old.json nor a recipe of that name"),
        ("prune tiny.toml --network zzz", "`lottery networks` lists all"),
        ("prune tiny.toml --network :", "':' names no code; write package.module:factory"),
        ("networks a:b:c", "'a:b:c' names no code; write package.module:factory"),
        ("networks searched-cells --genotype=", "--genotype is empty"),
        ("prune tiny.toml --seeds 4294967296", "within 32 bits"),
        ("prune tiny.toml --precision fp16", "fp32, bf16"),
        ("prune tiny.toml --device tpu", "auto, cpu, cuda"),
        ("prune tiny.toml --dry-run --set arms=['x']", "Known: dense"),
        ("prune .", "neither a run nor a .toml file"),
        ("recipes lth-lenett", "did you mean lth-lenet"),
        ("networks resnt", "did you mean resnet"),
        ("data mnits", "did you mean mnist"),
        ("show .", "is not a run"),
        ("control . dense", "is not a run"),
        ("data digits --download", "needs no download"),
    ],
)
@pytest.mark.usefixtures("here")
def test_bad_input_is_one_sentence_and_writes_nothing(words: str, hint: str) -> None:
    message = refused(*words.split())
    assert hint in message
    assert [path.name for path in Path.cwd().iterdir()] == ["tiny.toml"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("plot metric-vs-densty RUN", "did you mean metric-vs-density"),
        ("plot metric-vs-density RUN --format svgz", "did you mean svg"),
        ("compare RUN --budget parameter", "did you mean parameters"),
        ("control RUN random-maks", "did you mean random-mask"),
        ("control RUN random-mask", "at every level already"),
        ("report nowhere", "is not a run"),
        ("report RUN --out RUN/manifest.json", "does not end in .html"),
        ("plot learning-curves RUN --published x.csv", "drawn over metric-vs-density, not over"),
        ("plot search-curves RUN --published x.csv", "drawn over metric-vs-density, not over"),
        ("prune tiny.toml --out RUN/level-00", "would be inside"),
        ("prune tiny.toml --out RUN/level-00/deep/er", "would be inside"),
        (
            "search enas-micro-search-small --out RUN",
            "is a run; choose another --out for the search",
        ),
        ("search enas-micro-search-small --out RUN/a", "which is a run; choose another --out"),
    ],
)
@pytest.mark.usefixtures("here")
def test_bad_input_to_what_reads_runs(finished: Path, words: str, hint: str) -> None:
    assert hint in refused(*words.replace("RUN", str(finished)).split())


def test_a_run_does_not_go_into_a_search(here: Path) -> None:
    write_search(here / "found", random=0)
    before = files(here / "found")
    told = refused("prune", "tiny.toml", "--out", "found")
    assert told == "found is a search; choose another --out for the run."
    assert "which is a search" in refused("prune", "tiny.toml", "--out", "found/architectures")
    assert "would be inside" in refused("search", "random", "--data", "digits", "--out", "found/x")
    assert files(here / "found") == before


def test_links_that_lead_nowhere_are_named(here: Path) -> None:
    (here / "loop").symlink_to("loop")
    (here / "lost").symlink_to("nothing")
    assert "loop" in refused("show", "loop", code=ExitCode.DISK)
    assert "loop" in refused("report", "loop", code=ExitCode.DISK)
    assert "nothing is not a run" in refused("show", "lost")


@pytest.mark.parametrize(
    "words",
    ["prune", "prune tiny.toml --seeds a", "prune tiny.toml --levels -1", "plot x", "pruned x"],
)
@pytest.mark.usefixtures("here")
def test_misuse_of_the_command_line_is_2(words: str) -> None:
    assert lottery(*words.split()).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("name = ", "is not valid TOML"),
        (TOML.replace("levels = 2", "level = 2"), "did you mean levels"),
        (TOML.replace("levels = 2\n", ""), "'levels' is missing"),
        (TOML.replace("rate = 0.5", "rate = 1.5"), "pruning.rate = 1.5 is out of range"),
        (TOML.replace("learning_rate = 0.01", "learning_rate = -1"), "learning_rate = -1"),
        ("\x00", "is not valid TOML"),
    ],
)
def test_a_bad_file_is_named(here: Path, text: str, hint: str) -> None:
    (here / "bad.toml").write_text(text)
    message = refused("prune", "bad.toml")
    assert message.startswith("bad.toml")
    assert hint in message


def test_a_missing_file_is_named(here: Path) -> None:
    assert refused("prune", "no.toml", code=ExitCode.BAD_DATA) == "no.toml does not exist."


def test_a_folder_of_another_experiment_shows_both_values(here: Path) -> None:
    done("retrain", "tiny.toml", "--quiet")
    before = files(here / RUN)
    message = refused("prune", "tiny.toml", "--set", "training.batch_size=40")
    assert "training.batch_size is 50 there and 40 now" in message
    assert files(here / RUN) == before


def test_missing_and_damaged_data_are_named(here: Path) -> None:
    words = ("prune", "lth-lenet-short", "--data-root", "DATA")
    assert "--data-root" in refused(*words[:2], code=ExitCode.BAD_DATA)
    assert "was not found" in refused(*words, code=ExitCode.BAD_DATA)
    raw = here / "DATA/MNIST/raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{part}-{kind}-ubyte").write_bytes(b"\x00\x00\x08")
    message = refused(*words, code=ExitCode.BAD_DATA)
    assert "train-images-idx3-ubyte" in message
    assert not (here / "results").exists()


@pytest.mark.parametrize("name", ["level-01/records.json", "level-02/masks.safetensors"])
def test_a_damaged_run_is_3(here: Path, name: str) -> None:
    done("prune", "tiny.toml", "--quiet")
    path = here / RUN / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    words = ("show", RUN) if name.endswith("json") else ("prune", "tiny.toml", "--levels", "3")
    assert "SHA-256 differs" in refused(*words, code=ExitCode.BAD_DATA)


def test_records_that_are_gone_are_3_until_they_are_made_again(here: Path) -> None:
    done("prune", "tiny.toml", "--quiet")
    (here / RUN / "level-01/records.json").unlink()
    told = refused("show", RUN, code=ExitCode.BAD_DATA)
    assert f"{RUN} is damaged: level-01/records.json is missing;" in told
    done("prune", "tiny.toml", "--quiet")
    done("show", RUN)


@pytest.mark.parametrize("order", [1, -1])
def test_fields_that_need_each_other_are_set_together(here: Path, order: int) -> None:
    both = ["training.schedule.name=step", "training.schedule.milestones=['5it']"][::order]
    words = [word for one in (*both, "levels=2") for word in ("--set", one)]
    done("prune", "tiny.toml", *words, "--precision", "bf16", "--levels", "0", "--quiet")
    stored = stored_config(here / RUN, RUN_FOLDER)
    assert stored.training.schedule.name == "step"
    # An option that has a name of its own counts over --set.
    assert (stored.training.precision, stored.levels) == ("bf16", 0)


def test_another_process_at_work_is_refused(here: Path) -> None:
    with locked(here / RUN):
        assert "Another process" in refused("prune", "tiny.toml")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "No permission for"), (errno.ENOSPC, "The disk is full")],
)
def test_a_folder_that_can_not_be_written_to_is_4(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    done("retrain", "tiny.toml", "--quiet")
    before = files(here / RUN)
    monkeypatch.setattr(os, "fsync", fsync)
    assert words in refused("prune", "tiny.toml", code=ExitCode.DISK)
    assert words in refused("report", RUN, code=ExitCode.DISK)
    monkeypatch.undo()
    after = files(here / RUN)
    assert {name: after[name] for name in before} == before
    done("prune", here / "tiny.toml", "--out", here / RUN)


def test_no_permission_to_make_the_folder_is_4(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    message = refused("prune", "tiny.toml", code=ExitCode.DISK)
    assert message.startswith("No permission for results/runs/tiny")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried"),
        RuntimeError("alloc_cpu: can't allocate memory"),
    ],
)
@pytest.mark.usefixtures("here")
def test_too_little_memory_is_5(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: object) -> None:
        raise error

    monkeypatch.setattr("lottery.sessions.load_task", load)
    assert "--replicates-at-once" in refused("prune", "tiny.toml", code=ExitCode.OUT_OF_MEMORY)


@pytest.mark.usefixtures("here")
def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("lottery.sessions.load_task", load)
    assert isinstance(lottery("prune", "tiny.toml").exception, RuntimeError)


def test_a_name_that_no_disk_takes_is_4(here: Path) -> None:
    assert "name" in refused("show", "a" * 300, code=ExitCode.DISK)

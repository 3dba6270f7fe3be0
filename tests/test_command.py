"""Flagfiles and --method as commands read them; --print_config and --dry_run."""

import dataclasses
import re

import pytest

from mentormix_tf import command, methods, train
from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
from mentormix_tf.runs.defaults import resolve
from tests.support import commands

S_MODEL = resolve(
    RunConfig(
        data=DataConfig(noise_level=0.2),
        training=TrainingConfig(seed=7, pretrained=True),
        method="s_model",
        hyperparameters={"expected_noise": 0.3},
    )
)
FLAG = re.compile(r"^  --(\w+)", re.MULTILINE)
VANILLA = dataclasses.replace(S_MODEL, method="vanilla", hyperparameters={})
PRINTED = f"# vanilla\n{VANILLA.flagfile()}\n# s_model\n{S_MODEL.flagfile()}"
NESTED = ["train", "--print_config", "--flagfile", "own/nested.flags"]
COMMANDS = {
    "later flags win": [*NESTED, "--alpha=5"],
    "another method": [*NESTED, "--method=mentormix", "--method=mixup"],
    "the same method": [*NESTED, "--method=mentormix"],
    "several methods": [
        *("train", "--print_config", "--compare=vanilla", "--method=s_model"),
        *("--noise_level=0.2", "--expected_noise=0.3", "--seed=7", "--pretrained"),
    ],
    "printed": ["train", "--print_config", "--flagfile=s_model.flags"],
    "all that was printed": ["train", "--print_config", "--flagfile=all.flags"],
    "foreign": [*NESTED, "--method=vanilla"],
    "circle": ["train", "--flagfile=own/circle.flags"],
    "lost": ["train", "--flagfile=own/lost.flags"],
    "no path": ["train", "--print_config", "--flagfile"],
    "dry run": ["train", "--dry_run", "--train_steps=30000", "--flagfile=own/dry.flags"],
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory, data_dir):
    """Exit status, output and errors of each command, none of which writes a file."""
    folder = tmp_path_factory.mktemp("flagfiles")
    (folder / "own").mkdir()
    for name, text in {
        "base.flags": "# of both\n--seed=3\n--alpha=4\n",
        "own/nested.flags": "\n--flagfile=../base.flags\n--gamma_p=0.7\n",
        "own/circle.flags": "--flagfile=circle.flags\n",
        "own/lost.flags": "--flagfile=gone.flags\n",
        "own/dry.flags": f"--method=vanilla\n--data_dir={data_dir}\n",
        "s_model.flags": S_MODEL.flagfile(),
        "all.flags": PRINTED,
    }.items():
        (folder / name).write_text(text)
    before = sorted(folder.rglob("*"))
    done = dict(zip(COMMANDS, commands.run(*COMMANDS.values(), cwd=folder), strict=True))
    assert sorted(folder.rglob("*")) == before
    return done


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("later flags win", {"--seed=3", "--gamma_p=0.7", "--alpha=5.0", "--noise=symmetric"}),
        ("another method", {"--seed=3", "--method=mixup", "--alpha=0.2"}),  # its own default
        ("the same method", {"--seed=3", "--gamma_p=0.7", "--alpha=4.0"}),
    ],
)
def test_flagfiles(ended, name, expected):
    status, text, errors = ended[name]
    assert status == 0, errors
    assert set(text.splitlines()) >= expected


def test_a_flag_of_several_methods_has_the_help_of_each_meaning():
    fields = {field.name: field for field in command.merged(methods.all_hyperparameters())}
    text = fields["alpha"].help
    mixing, weighting = text.index("λ ~ Beta(alpha, alpha)"), text.index("α, the weight of")
    assert mixing < text.index("mixup: 0.2, mentormix: 8.0") < weighting
    assert weighting < text.index("(sce: 0.1, nce_rce: 1.0, nce_mae: 1.0)")
    assert text.count("λ ~") == text.count("α, the") == 1
    assert fields["expected_noise"].help.endswith("(s_model: 0.1, forward: 0.1)")


def test_print_config(ended):
    assert ended["several methods"][:2] == [0, PRINTED]
    for name in ("printed", "all that was printed"):
        assert ended[name][:2] == [0, f"# s_model\n{S_MODEL.flagfile()}"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("foreign", "alpha, gamma_p can't be set: vanilla"),
        ("circle", "circle.flags includes itself"),
        ("lost", "own/gone.flags can't be read: No such file"),
        ("no path", "can't be read: Is a directory"),
    ],
)
def test_bad_flagfiles(ended, name, message):
    status, _, errors = ended[name]
    assert status == 1 and message in errors and "Traceback" not in errors


def test_dry_run(ended):
    status, text, errors = ended["dry run"]
    assert status == 0, errors
    for part in (
        "vanilla on digits with 40% symmetric label noise",
        "1,437 train, 0 validation, 360 test",
        "40.0% of the training labels are wrong",
        "30,000 steps and 300 evaluations",
        "MB each, 3 of them",
    ):
        assert part in text, text


def test_help_shows_the_flags_that_matter_first(capsys):
    assert train.main(["--help"]) == 0
    short = capsys.readouterr().out
    assert train.main(["--helpfull"]) == 0
    full = capsys.readouterr().out
    shown, all_flags = FLAG.findall(short), FLAG.findall(full)
    assert sorted(shown) == sorted(train.FIRST) and len(shown) == 20
    assert f"These 20 flags matter first; --helpfull shows all {len(all_flags)}." in short
    assert shown == [name for name in all_flags if name in shown]
    assert "matter first" not in full

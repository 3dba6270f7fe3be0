"""A study's file: the runs that it means, and what it may not say."""

import os
import pathlib

import pytest

from mentormix_tf.errors import InputError
from mentormix_tf.studies import study_file
from mentormix_tf.studies.settings import Settings

ROOT = pathlib.Path(__file__).parents[2]
STUDIES = ROOT / "mentormix_tf" / "shipped" / "studies"

GRID = """
training: {train_steps: 20, learning_rate: 1e-2}
data:
  - {dataset: digits, noise: [symmetric, asymmetric], noise_level: [0.2, 0.4]}
  - {dataset: cifar10_n, noise: human_aggre, level: 0.09}
methods:
  vanilla:
  mentormix:
    - {level: 0.1, gamma_p: 0.9}
    - {level: 0.4, gamma_p: 0.6, second_reweight: true}
seeds: [0, 3]
tune: {levels: [0.09, 0.4], seeds: [7], settings: {mentormix: {alpha: [2, 8], gamma_p: [0.6]}}}
"""


def nothing_chosen(kind, method):
    return Settings({None: {}})


def read(tmp_path, text):
    (tmp_path / "grid.yaml").write_text(text)
    return study_file.read(tmp_path / "grid.yaml")


def test_a_grid_is_methods_by_labels_by_seeds(tmp_path):
    runs = read(tmp_path, GRID).runs(nothing_chosen)
    assert len({run.name for run in runs}) == len(runs) == 2 * 5 * 2
    assert {run.config.training.seed for run in runs} == {0, 3}
    by_name = {run.name: run for run in runs}
    run = by_name["runs/digits-asymmetric-0.4/mentormix/seed3"]
    assert run.config.data.noise_level == run.point.level == 0.4
    assert run.config.training.learning_rate == 0.01  # which YAML takes for text
    assert run.config.hyperparameters["gamma_p"] == 0.6
    assert run.config.hyperparameters["second_reweight"] is True
    human = by_name["runs/cifar10_n-human_aggre/mentormix/seed0"]
    assert human.config.data.noise_level is None
    assert human.config.hyperparameters["gamma_p"] == 0.9  # of the nearest level


def test_verified_labels_tell_folders_apart(tmp_path):
    text = (
        "data: {dataset: digits, verified_fraction: [0.05, 0.1], verified_seed: [0, 1],\n"
        "  verified_classes: [[], [3, 4]]}\nmethods: {vanilla: }\n"
    )
    runs = read(tmp_path, text).runs(nothing_chosen)
    assert len({run.name for run in runs}) == len(runs) == 8
    assert {run.config.data.verified_classes for run in runs} == {(), ("3", "4")}
    assert runs[0].name.startswith("runs/digits-symmetric-0.4-verified0.05/")


def test_trials_hold_out_noisy_examples_and_keep_what_is_fixed(tmp_path):
    trials = read(tmp_path, GRID).trial_runs()
    assert [settings for settings, _ in trials[:2]] == [
        {"alpha": 2.0, "gamma_p": 0.6},
        {"alpha": 8.0, "gamma_p": 0.6},
    ]
    assert len(trials) == 2 * 3  # at 0.4 symmetric and asymmetric, and at the human 0.09
    assert {run.config.method for _, run in trials} == {"mentormix"}  # vanilla has no choice
    for settings, run in trials:
        assert run.config.data.validation_fraction == 0.1
        assert run.config.training.seed == 7
        assert run.config.hyperparameters["alpha"] == settings["alpha"]
        assert run.config.hyperparameters["second_reweight"] is (run.point.level == 0.4)


def test_a_method_can_have_its_own_learning_rate(tmp_path):
    text = """
training: {learning_rate: 0.1}
data: {dataset: digits, noise_level: [0.2, 0.4]}
methods: {vanilla: , mixup: {alpha: 2.0, learning_rate: 5e-2}, mentormix: {weight_decay: 1e-3}}
tune: {levels: [0.4], settings: {vanilla: {learning_rate: [0.1, 0.01]}}}
"""
    study = read(tmp_path, text)
    found = {
        run.config.method: (run.config.training.learning_rate, run.config.training.weight_decay)
        for run in study.runs(nothing_chosen)
    }
    assert found == {"vanilla": (0.1, 0.0), "mixup": (0.05, 0.0), "mentormix": (0.1, 1e-3)}
    tried = [(settings, run.config.training.learning_rate) for settings, run in study.trial_runs()]
    assert tried == [({"learning_rate": 0.1}, 0.1), ({"learning_rate": 0.01}, 0.01)]
    chosen = study.runs(lambda kind, method: Settings({None: {"learning_rate": 0.5}}))
    assert {(run.config.training.learning_rate, run.own[-1]) for run in chosen} == {
        (0.5, "learning_rate")
    }
    for value, words in ((0, "learning_rate=0.0 must be"), ("fast", "learning_rate")):
        with pytest.raises(InputError, match=words):
            read(tmp_path, text.replace("5e-2", str(value)))
    with pytest.raises(InputError, match="batch_size"):
        read(tmp_path, text.replace("weight_decay: 1e-3", "batch_size: 3"))


def test_what_was_chosen_goes_before_the_file(tmp_path):
    def chosen(kind, method):
        return Settings({0.2: {"alpha": 1.0}} if method == "mentormix" else {None: {}})

    runs = [run for run in read(tmp_path, GRID).runs(chosen) if run.config.method == "mentormix"]
    assert {run.config.hyperparameters["alpha"] for run in runs} == {1.0}
    # What was not tried stays as the file has it for that level.
    assert {run.config.hyperparameters["second_reweight"] for run in runs} == {True, False}


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_can_be_read(path):
    study = study_file.read(path)
    assert study.runs(nothing_chosen)
    assert study.trials is None or study.trial_runs()


def test_the_example_in_the_docs(tmp_path):
    text = (ROOT / "docs" / "study.md").read_text()
    study = read(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert len(study.runs(nothing_chosen)) == 2 * 3 * 3 * 3
    assert len(study.trial_runs()) == 2 * 2 * (3 + 6)


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "grid.yaml is not valid YAML: "),
        ("[1]", "must be a mapping"),
        ("methods: {vanilla: }", "data is missing"),
        ("data: {dataset: digits}", "methods is missing"),
        ("grid: 1", "no key grid: choose from title"),
        ("data: {dataset: letters}\nmethods: {vanilla: }", "dataset=letters"),
        ("data: {noise_levle: 0.2}\nmethods: {vanilla: }", "no key noise_levle"),
        ("data: {noise_level: high}\nmethods: {vanilla: }", "noise_level=high must be a number"),
        ("data: {noise_level: 1.2}\nmethods: {vanilla: }", "noise_level=1.2 must lie in"),
        ("data: {level: 0.2}\nmethods: {vanilla: }", "level=0.2 can't be set"),
        ("data: {noise_level: [0.2, 0.2]}\nmethods: {vanilla: }", "would be two runs"),
        ("data: {noise_level: []}\nmethods: {vanilla: }", "noise_level=[] must be a list"),
        (
            "data: {dataset: cifar10_n, level: 20}\nmethods: {vanilla: }",
            "level=20.0 must lie in",
        ),
        ("data: {dataset: digits}\nmethods: {vanilla: , vanilla: }", "vanilla is given twice"),
        ("data: {dataset: digits}\nmethods: {mixup: {on: 1}}", "on can't be set"),
        ("data: {dataset: digits}\nmethods: {mixup: {beta: [1, 2]}}", "beta can't be set"),
        ("data: {dataset: digits}\nmethods: {mixup: {alpha: [1]}}", "alpha=[1] must be a number"),
        (
            "data: {dataset: digits}\nmethods: {mixup: [{level: 0.2}, {level: 0.2}]}",
            "be given once",
        ),
        (
            "data: {dataset: digits}\nmethods: {vanilla: }\ntraining: {network: resnet}",
            "network=resnet is unknown",
        ),
        ("data: {dataset: digits}\nmethods: [vanilla]", "must be a mapping"),
        ("data: {dataset: digits}\nmethods: {mixup: {beta: 1}}", "beta can't be set"),
        ("data: {dataset: digits}\nmethods: {mixup: {alpha: x}}", "alpha=x must be a number"),
        ("data: {dataset: digits}\nmethods: {mixup: [{alpha: 1}]}", "with a level"),
        ("data: {dataset: digits}\nmethods: {vanilla: }\nseeds: 3", "seeds=3 must be a list"),
        (
            "data: {dataset: digits}\nmethods: {vanilla: }\ntraining: {seed: 1}",
            "seed can't be set",
        ),
        (
            "data: {dataset: digits}\nmethods: {vanilla: }\ntraining: {train_steps: 1.5}",
            "train_steps=1.5 must be an integer",
        ),
        (
            "data: {dataset: digits}\nmethods: {vanilla: }\ntune: {levels: [0.1]}",
            "data has no level 0.1",
        ),
        (
            "data: {dataset: digits}\nmethods: {vanilla: }\ntune: {levels: 0.4}",
            "tune: levels=0.4 must be a list",
        ),
        (
            "data: {dataset: digits}\nmethods: {mixup: }\n"
            "tune: {levels: [0.4], settings: {mixup: {alpha: [1]}}}",
            "mixup has nothing to choose from",
        ),
        (
            "data: {dataset: digits}\nmethods: {mixup: }\n"
            "tune: {levels: [0.4], settings: {mixup: {alpha: [1, 1.0]}}}",
            "would be two runs",
        ),
        (
            "data: {dataset: digits, noise: [symmetric, asymmetric]}\nmethods: {vanilla: }\n"
            "tune: {levels: [0.4], seeds: [1, 1], settings: {vanilla: {}}}",
            "vanilla has nothing to choose from",
        ),
        (
            "data: {dataset: digits}\nmethods: {vanilla: }\n"
            "tune: {levels: [0.4], settings: {mixup: {alpha: [1]}}}",
            "mixup is not among",
        ),
    ],
)
def test_impossible_runs_are_refused_in_a_sentence(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert words in str(error.value)
    assert "grid.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml can't be read: No such file"):
        study_file.read(tmp_path / "none.yaml")


GOOD = "data: {dataset: digits}\nmethods: {vanilla: }\n"


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "data is missing"),
        ("[]", "must be a mapping"),
        ("0", "must be a mapping"),
        (GOOD + "training: []", "training=[] must be a mapping"),
        (GOOD + "training: 0", "training=0 must be a mapping"),
        (GOOD + "tune: []", "tune=[] must be a mapping"),
        (GOOD + "title: [a]", "title=['a'] must be text"),
        (GOOD + "seeds: [-1]", "seed=-1 must lie in"),
        (GOOD + f"seeds: [{2**31}]", "must lie in [0, 2**31)"),
        (GOOD + f"seeds: [{10**30}]", "must lie in [0, 2**31)"),
        (GOOD + "seeds: [true]", "must be an integer"),
        (GOOD + "seeds: [0x10]", "seeds=0x10 must be an integer"),
        (GOOD + "seeds: [1:30]", "seeds=1:30 must be an integer"),
        (GOOD + "seeds: ['1:30']", "seeds=1:30 must be an integer"),
        (GOOD + "seeds: [2026-01-02]", "seeds=2026-01-02 must be an integer"),
        (GOOD + "seeds: [1, 2, 1]", "would be two runs"),
        (GOOD + "1: 2", "no key 1"),
        (GOOD + "? [a]\n: 1", "the key ['a'] is not a word"),
        (GOOD + "? {a: 1}\n: 1", "the key {'a': 1} is not a word"),
        (GOOD + "<<: {a: 1}", "no key <<"),
        (GOOD + "---\n" + GOOD, "expected a single document"),
        (GOOD + "title: a\0b", "special characters are not allowed"),
        (
            f"data: {{noise_seed: [{', '.join(map(str, range(10_001)))}]}}\nmethods: {{vanilla: }}",
            "more than 10000 runs",
        ),
        ("data: {noise_level: .nan}\nmethods: {vanilla: }", "noise_level=.nan must be a number"),
        ("data: {noise_level: nan}\nmethods: {vanilla: }", "noise_level=nan must lie in"),
        ("data: {noise_level: -.inf}\nmethods: {vanilla: }", "noise_level=-.inf must be a number"),
        ("data: {noise_level: true}\nmethods: {vanilla: }", "noise_level=true must be a number"),
        ("data: {dataset: 2026-01-02}\nmethods: {vanilla: }", "dataset=2026-01-02"),
        ("data: {dataset: no}\nmethods: {vanilla: }", "dataset=no"),
        (
            "data: {dataset: cifar10_n, level: true}\nmethods: {vanilla: }",
            "level=true must be a number",
        ),
        ("data: {dataset: cifar10_n, level: nan}\nmethods: {vanilla: }", "level=nan must lie in"),
        ("data: {dataset: digits}\nmethods: {mixup: 0}", "0 must be a mapping of settings"),
        ("data: {dataset: digits}\nmethods: {mixup: []}", "[] must be a mapping of settings"),
        (
            "data: {dataset: digits}\nmethods: {mixup: [{level: true}]}",
            "level=true must be a number",
        ),
        ("data: {dataset: digits}\nmethods: {mixup: [{level: nan}]}", "level=nan must lie in"),
        ("data: {dataset: digits}\nmethods: {mixup: {level: true}}", "level=true must be a number"),
        ("data: {dataset: digits}\nmethods: {../vanilla: }", "method=../vanilla is unknown"),
        (GOOD + "title: &a x", "line 3 of"),
        (GOOD + "title: *a", "has &a or *a"),
        (GOOD + "title: !!python/object/apply:os.system [ls]", "has the tag"),
        (GOOD + "title: !!timestamp x", "has the tag"),
        (GOOD + "title: !own x", "has the tag !own"),
        (GOOD + "title: ! x", "has the tag !"),
        ("[" * 3000, "more than 20 lists in one another"),
        ("- " * 3000, "more than 20 lists in one another"),
        ("{a: " * 3000, "more than 20 lists in one another"),
        ("#" * 100_001, "has 100001 bytes"),
    ],
)
def test_what_yaml_can_say_and_a_study_may_not(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert words in str(error.value) and str(error.value).endswith(".")
    assert "grid.yaml" in str(error.value) and "\n" not in str(error.value)


def test_nested_aliases_expand_to_nothing(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 8)}]" for i in range(9)]
    with pytest.raises(InputError, match="repeat the value"):
        read(tmp_path, "\n".join([*lines, "title: *a9"]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_are_refused(tmp_path, encoding):
    (tmp_path / "grid.yaml").write_bytes(f"{GOOD}title: Müller".encode(encoding))
    with pytest.raises(InputError, match=r"grid.yaml (can't be read|is not valid YAML)"):
        study_file.read(tmp_path / "grid.yaml")


def test_a_byte_order_mark_and_line_ends_of_windows(tmp_path):
    text = f"{GOOD}title: Müller\n".replace("\n", "\r\n")
    (tmp_path / "grid.yaml").write_bytes(text.encode("utf-8-sig"))
    assert study_file.read(tmp_path / "grid.yaml").title == "Müller"


def test_words_mean_what_they_mean_in_a_flag(tmp_path):
    text = (
        GOOD
        + "training: {learning_rate: 1e-2, batch_size: 010}\nseeds: [1_0, +7]\ntitle: 2026-01-02"
    )
    study = read(tmp_path, text)
    assert study.training.learning_rate == 0.01 and study.training.batch_size == 10
    assert study.seeds == (10, 7) and study.title == "2026-01-02"


def test_pipes_and_folders_are_no_study(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path, pathlib.Path("/dev/zero")):
        with pytest.raises(InputError, match=r"not a regular file|Is a directory"):
            study_file.read(path)


@pytest.mark.parametrize("name", ["..", "a/../../b", "é" * 300, "n" * 3000, "a b c", "."])
def test_each_run_has_a_folder_in_the_studys(tmp_path, name):
    text = f"data: {{dataset: 'folder:{name}'}}\nmethods: {{vanilla: }}"
    [run] = read(tmp_path, text).runs(nothing_chosen)
    above, folder, method, seed = run.name.split("/")
    assert (above, method, seed) == ("runs", "vanilla", "seed0")
    assert folder not in ("", ".", "..") and len(folder.encode()) <= 255

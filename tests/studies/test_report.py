"""Reports, from the files that runs leave behind."""

import csv
import dataclasses
import io
import json
import pathlib
import shutil

import pytest
from PIL import Image

from mentormix_tf import methods
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.studies import figures, published, report, results, study_file, summaries
from mentormix_tf.studies.settings import Settings

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
METHODS, SEEDS = ("mixup", "mentormix"), (0, 1)
STUDY = """
training: {train_steps: 20, eval_every: 10, image_size: 16}
data:
  - {dataset: cifar10, noise: symmetric, noise_level: [0.2, 0.8], train_examples: 100}
  - {dataset: cifar10_n, noise: human_worse, train_examples: 100}
methods: {mixup: {alpha: 1.0}, mentormix: {alpha: 2.0, learning_rate: 0.05}}
seeds: [0, 1]
"""


@pytest.fixture
def planned(tmp_path):
    """The runs of a study."""
    (tmp_path / "study.yaml").write_text(STUDY)
    return study_file.read(tmp_path / "study.yaml").runs(lambda kind, method: Settings({None: {}}))


@pytest.fixture
def study(tmp_path, planned):
    """Results of those runs, with accuracies that can be told apart."""
    for run in planned:
        write_result(tmp_path / run.name, run.config)
    return tmp_path


def write_result(path, config):
    data, seed, method = config.data, config.training.seed, config.method
    rate = 0.4021 if data.noise_level is None else data.noise_level
    peak = 0.5 + 0.2 * METHODS.index(method) - 0.1 * rate
    accuracies = [peak + 0.01 * seed, peak - 0.1]
    lines = [f"{10 * (i + 1)},1.0,{accuracy}" for i, accuracy in enumerate(accuracies)]
    path.mkdir(parents=True)
    (path / "metrics.csv").write_text("\n".join(["step,loss,test_accuracy", *lines]) + "\n")
    result = {
        **dict(dataset=data.dataset, noise=data.noise, noise_level=data.noise_level),
        **dict(method=method, seed=seed, steps=20, network="small_cnn", split_sha256="abc"),
        "realized_noise_rate": rate,
        "hyperparameters": dict(config.hyperparameters),
        "peak_accuracy": accuracies[0],
        "final_accuracy": accuracies[1],
        "images_per_second": 100.0,
        "device": "CPU",
        "versions": {"tensorflow": "2", "keras": "3"},
        "git_revision": None,
        "class_accuracies": dict.fromkeys("abcdefghij", 0.5),
    }
    (path / "result.json").write_text(json.dumps(result))


def write_report(output, study, planned, paper=False):
    output.mkdir(exist_ok=True)
    facts = dict(title="A study", command="python -m ...", planned=len(planned), paper=paper)
    return report.write(output, *results.collect(study, planned), **facts)


def test_results_are_read_and_read_again(study, planned, tmp_path):
    runs, curves = results.collect(study, planned)
    assert len(runs) == 3 * 2 * 2
    assert len(curves) == 2 * len(runs)
    human = [run for run in runs if run["kind"] == "cifar10_n-human"]
    assert {run["level"] for run in human} == {0.4021}  # as realized
    results.write(tmp_path, runs, curves)
    again, curves_again = results.read(tmp_path)
    assert curves_again == curves
    assert again == [{**run, "git_revision": ""} for run in runs]


def test_kept_tables_stand_for_runs_that_are_gone(study, planned, tmp_path):
    """A study continues from its tables: what is in them is done, and the rest is not."""
    whole = results.collect(study, planned)
    results.write(tmp_path, *(rows[: len(rows) // 2] for rows in whole))
    kept = results.read(tmp_path)
    there = [run.name for run in planned[: len(planned) // 2]]
    assert results.kept_runs(planned, kept) == set(there)
    for name in there:
        shutil.rmtree(study / name)
    for name, tables in (("joined", results.join(study, planned, kept)), ("whole", whole)):
        (tmp_path / name).mkdir()
        results.write(tmp_path / name, *tables)
    assert results.read(tmp_path / "joined") == results.read(tmp_path / "whole")


def test_tables_of_an_earlier_version_lack_columns(study, planned, tmp_path):
    first, second = (results.collect(study, [run]) for run in planned[:2])
    del first[0][0]["num_classes"]
    results.write(tmp_path, first[0] + second[0], first[1] + second[1])
    assert [row["num_classes"] for row in results.read(tmp_path)[0]] == [None, 10]


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.05}, {"train_layers": "head"}, {"seed": 7}, {"train_steps": 30}]
)
def test_a_run_with_another_setting_is_another_run(planned, change):
    config = planned[0].config
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, **change))
    assert results.identity(other) != results.identity(config)
    elsewhere = dataclasses.replace(config.data, data_dir="/elsewhere")
    moved = dataclasses.replace(config, data=elsewhere)
    assert results.identity(moved) == results.identity(config)


def test_a_new_setting_leaves_kept_results_valid(planned, monkeypatch):
    config, flags = planned[0].config, RunConfig.flags
    before = results.identity(config)
    monkeypatch.setattr(RunConfig, "flags", lambda self: {**flags(self), "new": "default"})
    assert results.identity(config) == before


def test_no_default_has_changed_without_notice():
    """If this fails, results that were kept would count as done though they have the old default.

    Then raise `results.DEFAULTS`, and write the new defaults to defaults.json.
    """
    known = json.loads((SUPPORT / "defaults.json").read_text())
    assert known.pop("version") == results.DEFAULTS
    now = {
        method: RunConfig(method=method, hyperparameters=methods.resolve(method, {})).flags()
        for method in methods.METHODS
    }
    for method, flags in known.items():
        assert {name: now[method].get(name) for name in flags} == flags


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "kind,level,method,seed\nx,high,vanilla,0\n", "kind,level\nx,0.1\n"]
)
def test_tables_of_another_kind_are_refused(tmp_path, text):
    (tmp_path / "runs.csv").write_text(text)
    (tmp_path / "curves.csv").write_text(text)
    with pytest.raises(InputError, match=r"runs.csv can't be read as results of a study"):
        results.read(tmp_path)


def test_memorized_is_read_from_tables_that_call_it_memorised(study, planned, tmp_path):
    path = study / planned[0].name / "result.json"
    contents = {**json.loads(path.read_text()), "final_train_wrong_accuracy": 0.25}
    path.write_text(json.dumps(contents))
    results.write(tmp_path, *results.collect(study, planned))
    table = tmp_path / "runs.csv"
    header, *lines = table.read_text().splitlines(keepends=True)
    assert header.count(",memorized,") == 1
    table.write_text("".join([header.replace("memorized", "memorised"), *lines]))
    runs, _ = results.read(tmp_path)
    assert [run["memorized"] for run in runs] == [0.25] + [None] * (len(planned) - 1)
    assert not any("memorised" in run for run in runs)


def test_only_the_studys_own_results_count(study, planned):
    foreign = dataclasses.replace(planned[0].config, method="mixup")
    write_result(study / "runs" / "cifar10-symmetric-0.2" / "vanilla" / "seed0", foreign)
    path = study / planned[0].name / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "steps": 10}))  # of fewer steps
    runs, _ = results.collect(study, planned)
    assert len(runs) == len(planned) - 1


def test_a_broken_result_is_named(study, planned):
    (study / planned[0].name / "result.json").write_text("null")  # of a run that is not done
    runs, _ = results.collect(study, planned)
    assert len(runs) == len(planned) - 1
    (study / planned[0].name / "result.json").write_text('{"steps": 20}')
    with pytest.raises(InputError, match=f"{planned[0].name} has an incomplete result"):
        results.collect(study, planned)


def test_the_report_has_the_tables(study, planned, tmp_path):
    output = tmp_path / "report"
    main = write_report(output, study, planned)
    assert "| mixup | 45.5 ± 4.2 | 35.0 ± 4.2 | 46.5 | 36.0 |" in main
    assert "| mentormix | 65.5 ± 4.2 | 55.0 ± 4.2 | 66.5 | 56.0 |" in main
    text = (output / "report.md").read_text()
    assert main in text
    assert "| cifar10-symmetric | method | 20 % | 80 % |" in text
    assert "| peak | mixup | 48.5 ± 0.7 | 42.5 ± 0.7 |" in text
    assert "| drop | mixup | 10.5 ± 0.7 | 10.5 ± 0.7 |" in text
    assert "| cifar10_n-human | method | 40.2 % |" in text
    assert "| cifar10-symmetric | mentormix | alpha 2.0, learning_rate 0.05 | 20 %, 80 % |" in text
    assert "ublished" not in text
    assert "12 runs; 2 methods; 1 noisy splits of 100 training examples; seeds 0, 1; " in text
    assert "network small_cnn at 16 pixels; 20 steps" in text
    with (output / "table_2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["peak"]) == pytest.approx(0.455)
    by = ("accuracy_by_level", "accuracy_by_kind", "drop_from_peak", "accuracy_over_training")
    for name in by:
        assert f"({name}.png)" in text
        with Image.open(output / f"{name}.png") as picture:
            assert picture.width > 500
        assert "<svg" in (output / f"{name}.svg").read_text()


def test_a_report_of_a_part_says_so(study, planned, tmp_path):
    shutil.rmtree(study / planned[-1].name)
    write_report(tmp_path / "report", study, planned)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "11 of 12 runs" in text and "| 66.0 (1 of 2 seeds) |" in text


def test_published_numbers_stand_apart(study, planned, tmp_path):
    write_report(tmp_path, study, planned, paper=True)
    text = (tmp_path / "report.md").read_text()
    assert "| *published, ICML 2020 slides* | *mentormix* | *95.6* | *81.0* |" in text
    assert "| mentormix | *84.2 ± 0.7* | *83.3 ± 1.9* | *70.9 ± 3.4* |" in text


def test_published_numbers_are_the_slides():
    two = published.table_2()
    assert len(two) == 8 * 8 - 4  # four are missing there, too
    assert two["Blue Stanford Cars, from scratch", "mixup"] == (0.642, 0.216)
    three = published.table_3("cifar100-symmetric")
    assert three["mentormix", "ICML 2020 slides"] == {
        0.2: 0.786,
        0.4: 0.713,
        0.6: 0.646,
        0.8: 0.488,
    }
    assert three["o2u", "ICML 2020 slides"] == {0.2: 0.741, 0.4: 0.692, 0.6: 0.394}


def test_figures_show_the_summaries(study, planned):
    runs, curves = results.collect(study, planned)
    rows = summaries.by_level(runs)
    peak, final, *_ = figures.accuracy_by_level(rows).axes
    lines = {box.get_label(): box for box in peak.containers}
    assert list(lines["Mixup"][0].get_xdata()) == [20, 80]
    assert list(lines["Mixup"][0].get_ydata()) == pytest.approx([48.5, 42.5])
    lines = {box.get_label(): box for box in final.containers}
    assert list(lines["MentorMix"][0].get_ydata()) == pytest.approx([58, 52])
    drops = figures.drop_from_peak(rows).axes
    titles = [methods.title(name) for name in dict.fromkeys(r["method"] for r in rows)]
    assert [panel.get_title() for panel in drops] == titles
    assert list(drops[0].containers[0][0].get_ydata()) == pytest.approx([10.5, 10.5])
    by_kind = figures.accuracy_by_kind(rows)
    by_kind.draw_without_rendering()
    assert by_kind.legends[0].get_window_extent().width < by_kind.bbox.width
    kinds = {box.get_label(): box for box in by_kind.axes[0].containers}
    assert list(kinds["cifar10_n-human, peak"][0].get_xdata()) == pytest.approx([40.21])
    assert list(kinds["cifar10-symmetric, final"][0].get_ydata()) == pytest.approx([38, 32])
    panel = figures.accuracy_over_training(summaries.over_training(curves)).axes[0]
    assert list(panel.lines[0].get_xdata()) == [10, 20]


def test_a_method_looks_the_same_in_all_figures():
    styles = [figures.method_style(name) for name in methods.METHODS]
    assert len({(each["color"], each["marker"]) for each in styles}) == len(methods.METHODS)
    assert [each["label"] for each in styles] == [methods.title(each) for each in methods.METHODS]
    assert methods.title("s_model") == "S-Model" and methods.title("mine") == "mine"


def test_chance_is_drawn_where_a_method_comes_near_it(study, planned):
    rows = summaries.by_level(results.collect(study, planned)[0])
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    figure = figures.accuracy_by_level(rows, chance={kinds[0]: 0.15})
    near, far = ([line.get_label() for line in panel.lines] for panel in figure.axes[1:3])
    assert "chance" in near and "chance" not in far
    [line] = [line for line in figure.axes[1].lines if line.get_label() == "chance"]
    assert list(line.get_ydata()) == [15, 15]


def test_figures_say_what_was_trained(study, planned):
    rows = summaries.by_level(results.collect(study, planned)[0])
    figure = figures.accuracy_by_level(rows, about="CIFAR-10, small_cnn, seed 0")
    assert figure.get_suptitle() == "CIFAR-10, small_cnn, seed 0"


def test_the_same_results_give_the_same_pictures(study, planned):
    rows = summaries.by_level(results.collect(study, planned)[0])
    for form in ("png", "svg"):
        first, second = (figures.encode(figures.drop_from_peak(rows), form) for _ in range(2))
        assert first == second
    Image.open(io.BytesIO(figures.encode(figures.drop_from_peak(rows), "png"))).verify()

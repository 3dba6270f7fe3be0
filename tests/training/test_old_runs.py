"""Runs of earlier versions: evaluated, exported, and resumed with the same results.

tests/support/old_runs/ has two, trained for 10 steps by version 0.1.0 at revision 886e54f, with the
metrics.csv that the same revision wrote when it resumed them to 20 steps (continued.csv):

    python -m mentormix_tf.train --method=mentormix --image_size=4 --train_steps=10 --eval_every=5 \
        --keep_checkpoints=1 --learning_rate=0.05 --schedule=constant
"""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import mentormix_tf as mm
from mentormix_tf import train

OLD_RUNS = pathlib.Path(__file__).parents[1] / "support" / "old_runs"
TIMES = ("images_per_second", "input_wait")


@pytest.fixture(params=["mentormix", "o2u"])
def old_run(request, tmp_path):
    folder = tmp_path / request.param
    shutil.copytree(OLD_RUNS / request.param, folder)
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_an_old_run_continues_as_it_would_have(data_dir, tmp_path):
    old_run = tmp_path / "mentormix"
    shutil.copytree(OLD_RUNS / "mentormix", old_run)
    flags = [f"--flagfile={old_run / 'flags.txt'}", f"--model_dir={old_run}"]
    assert train.main([*flags, f"--data_dir={data_dir}", "--train_steps=20"]) == 0
    found, expected = rows(old_run / "metrics.csv"), rows(old_run / "continued.csv")
    assert [row["step"] for row in found] == ["5", "10", "15", "20"]
    for row, old in zip(found, expected, strict=True):
        assert row.keys() == old.keys()
        for name in row.keys() - set(TIMES):
            # On another processor the last digits may differ, and so may an image's class.
            tolerance = 0.03 if "accuracy" in name or name.startswith("v_") else 0.01
            if row["step"] == "20":
                continue  # by then another v has led to other partners: see the next test
            if not name.startswith(("test_", "train_")):
                tolerance /= 10  # what training measured in its first steps
            np.testing.assert_allclose(float(row[name]), float(old[name]), atol=tolerance, rtol=0)
    assert json.loads((old_run / "result.json").read_text())["steps"] == 20


def test_an_old_run_whose_method_has_changed_is_refused(data_dir, tmp_path, capsys):
    shutil.copytree(OLD_RUNS / "o2u", tmp_path / "o2u")
    flags = [f"--flagfile={tmp_path / 'o2u' / 'flags.txt'}", f"--model_dir={tmp_path / 'o2u'}"]
    assert train.main([*flags, f"--data_dir={data_dir}", "--train_steps=20"]) == 1
    assert "step-10 does not match this model, as another version" in capsys.readouterr().err
    assert rows(tmp_path / "o2u" / "metrics.csv")[-1]["step"] == "10"


@pytest.mark.slow
def test_an_old_run_continues_in_parts_as_at_once(data_dir, tmp_path):
    """To the last digit, on whatever processor; its learning rate is constant."""
    at_once, in_parts = tmp_path / "at_once", tmp_path / "in_parts"
    for folder in (at_once, in_parts):
        shutil.copytree(OLD_RUNS / "mentormix", folder)
    for folder, steps in ((at_once, 20), (in_parts, 15), (in_parts, 20)):
        flags = [f"--flagfile={folder / 'flags.txt'}", f"--model_dir={folder}"]
        assert train.main([*flags, f"--data_dir={data_dir}", f"--train_steps={steps}"]) == 0
    one, parts = (
        [{k: v for k, v in row.items() if k not in TIMES} for row in rows(folder / "metrics.csv")]
        for folder in (at_once, in_parts)
    )
    assert one == parts and len(one) == 4


@pytest.mark.slow
def test_an_old_run_is_evaluated_and_exported(old_run, data_dir, tmp_path):
    run = mm.open_run(old_run)
    evaluated = run.evaluate(data_dir=data_dir, output_dir=tmp_path / "evaluation")
    assert evaluated.report["step"] == 10
    assert evaluated.report["accuracy"] == pytest.approx(run.result["final_accuracy"], abs=0.01)
    served = tf.saved_model.load(str(run.export(tmp_path / "served")))
    images = np.random.RandomState(0).randint(256, size=(3, 4, 4, 1)).astype(np.uint8)
    scores = served.signatures["arrays"](images=tf.constant(images))["scores"]
    logits = run.network()(images.astype(np.float32), training=False)
    np.testing.assert_allclose(scores, tf.nn.softmax(logits), atol=1e-6)


@pytest.mark.parametrize(
    "code",
    [
        "import keras, mentormix_tf; model = keras.models.load_model({path!r})",
        pytest.param(
            "import mentormix_tf as mm; model = mm.load_model({path!r})", marks=pytest.mark.slow
        ),
    ],
    ids=["by Keras", "by mentormix_tf"],
)
def test_an_old_saved_model_loads_in_a_new_process(code):
    # A GeneralizedCrossEntropy with average_decay=0.9 around one dense layer, 4 inputs, 3 classes.
    path = str(OLD_RUNS / "gce.keras")
    code = f"{code.format(path=path)}; print(type(model).__name__, model.ema_decay)"
    code += "; import numpy; print(model.predict(numpy.ones((1, 4)), verbose=0).shape)"
    root = OLD_RUNS.parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "GCE 0.9\n(1, 3)\n"

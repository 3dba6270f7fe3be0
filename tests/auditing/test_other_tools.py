"""audit.csv in tools that others use; each test needs its tool."""

import json
import urllib.request

import keras
import numpy as np
import pandas
import pytest

from mentormix_tf.auditing import judgment
from mentormix_tf.inference.survey import Survey


@pytest.fixture
def table(tmp_path, request):
    random = np.random.RandomState(0)
    given = random.randint(3, size=90)
    probabilities = random.dirichlet([1, 1, 1], size=90).astype(np.float32)
    ids = [f"train_{i}" for i in range(90)]
    survey, files = Survey(probabilities), getattr(request, "param", lambda folder: None)(tmp_path)
    names = ["=a", "b,c", "d"]
    report = judgment.judge(names, ids, given, "0" * 64, survey=survey, files=files)
    folder = report.save(tmp_path / "audit")
    return given, pandas.read_csv(folder / "audit.csv")


def test_pandas(table):
    given, read = table
    names = ["'=a", "b,c", "d"]  # guarded from spreadsheets
    assert read["given_label"].tolist() == [names[label] for label in given]
    assert read["is_label_issue"].dtype == bool and read["label_quality"].dtype == float
    assert read["file"].isna().all()


def test_cleanlab(table):
    classification = pytest.importorskip("cleanlab.classification", reason="needs cleanlab")
    from sklearn.linear_model import LogisticRegression

    given, read = table
    images = np.random.RandomState(1).normal(size=(90, 5))
    learner = classification.CleanLearning(LogisticRegression())
    learner.fit(images, given, label_issues=read[["is_label_issue", "label_quality"]])
    kept = read[~read["is_label_issue"]]
    alone = LogisticRegression().fit(images[kept.index], given[kept.index])
    np.testing.assert_array_equal(learner.predict(images), alone.predict(images))


def photos(folder):
    """Paths of 90 images."""
    paths = [str(folder / f"{i}.png") for i in range(90)]
    for i, path in enumerate(paths):
        keras.utils.save_img(path, np.full((8, 8, 3), i), scale=False)
    return paths


@pytest.mark.parametrize("table", [photos], indirect=True)
def test_spotlight(table):
    spotlight = pytest.importorskip("renumics.spotlight", reason="needs renumics-spotlight")
    types = {"file": spotlight.Image}
    viewer = spotlight.show(table[1], dtype=types, no_browser=True, wait=False)
    try:
        url = f"http://{viewer.host}:{viewer.port}/api/table/"
        with urllib.request.urlopen(url) as answer:
            shown = json.load(answer)
        cell = f"{url}file/7?generation_id={shown['generation_id']}"
        with urllib.request.urlopen(cell) as answer:
            assert answer.read().startswith(b"\x89PNG")
    finally:
        viewer.close()
    columns = {column["name"]: column for column in shown["columns"]}
    assert columns["file"]["dtype"]["name"] == "Image"
    assert columns["label_quality"]["dtype"]["name"] == "float"
    assert columns["is_label_issue"]["dtype"]["name"] == "bool"

"""audit.csv in tools that others use; each test needs its tool."""

import numpy as np
import pandas
import pytest

from mentormix_tf.auditing import judgment
from mentormix_tf.auditing.survey import Survey


@pytest.fixture
def table(tmp_path):
    random = np.random.RandomState(0)
    given = random.randint(3, size=90)
    probabilities = random.dirichlet([1, 1, 1], size=90).astype(np.float32)
    ids = [f"train_{i}" for i in range(90)]
    report = judgment.judge(["=a", "b,c", "d"], ids, given, "0" * 64, survey=Survey(probabilities))
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

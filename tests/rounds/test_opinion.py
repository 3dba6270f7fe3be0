"""What a round's network says, against a slow calculation, and its file."""

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.inference.survey import Survey
from mentormix_tf.rounds import opinion


def survey():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 20).astype(np.float32)
    return Survey(probabilities, [rng.normal(size=(20, 5)).astype(np.float32)])


def test_it_follows_from_the_probabilities():
    found, labels = survey(), np.arange(20) % 3
    made = opinion.of_survey(found, labels)
    confusion = np.zeros([3, 3])
    for i, label in enumerate(labels):
        row = found.probabilities[i].astype(np.float64)
        assert made.predicted[i] == max(range(3), key=lambda c: row[c])
        assert made.losses[i] == pytest.approx(-np.log(row[label] + 1e-8), rel=1e-5)
        for predicted in range(3):
            confusion[predicted, label] += row[predicted]
    np.testing.assert_allclose(made.confusion, confusion, rtol=1e-12)
    assert made.features is found.features[0]
    assert opinion.of_survey(Survey(found.probabilities), labels).features is None


@pytest.mark.parametrize("features", [True, False])
def test_what_is_written_is_read(tmp_path, features):
    found = survey() if features else Survey(survey().probabilities)
    made = opinion.of_survey(found, np.arange(20) % 3)
    opinion.write(tmp_path / "1a.npz", made, 6, "abc")
    read, steps = opinion.read(tmp_path / "1a.npz", 20, "abc")
    assert steps == 6
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "1a.npz"
    opinion.write(path, opinion.of_survey(survey(), np.arange(20) % 3), 6, "abc")
    for count, split in [(19, "abc"), (20, "abd")]:
        with pytest.raises(InputError, match=r"1a.npz is of a run on other labels: restore"):
            opinion.read(path, count, split)
    np.savez(path, losses=np.zeros(20), steps=6, split_sha256="abc")
    with pytest.raises(InputError, match=r"1a.npz can't be read .*: delete it, and it is made"):
        opinion.read(path, 20, "abc")
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"1a.npz can't be read .*: delete it, and it is made"):
        opinion.read(path, 20, "abc")

"""Rows of classes as CSV and JSON lines."""

import io

import pytest

from mentormix_tf import InputError
from mentormix_tf.serving import prediction_writer
from mentormix_tf.serving.image_files import Row

ROWS = [
    Row("a,b.png", (("cat", 0.75), ("dög", 0.25))),
    Row("bad\udcff.png", reason="the file is empty"),
]


def test_csv():
    file = io.StringIO()
    assert prediction_writer.write(ROWS, file, "csv", top_k=2) == 1
    assert file.getvalue() == (
        "image,class,probability,class_2,probability_2,reason\n"
        '"a,b.png",cat,0.750000,dög,0.250000,\n'
        "bad\ufffd.png,,,,,the file is empty\n"
    )


def test_json_lines():
    file = io.StringIO()
    assert prediction_writer.write(ROWS, file, "jsonl", top_k=2) == 1
    assert file.getvalue() == (
        '{"image": "a,b.png", "class": "cat", "probability": 0.75, "top": '
        '[{"class": "cat", "probability": 0.75}, {"class": "dög", "probability": 0.25}]}\n'
        '{"image": "bad\ufffd.png", "reason": "the file is empty"}\n'
    )


def test_a_line_is_written_before_the_next_image_is_classified():
    file, lines = io.StringIO(), []

    def rows():
        for row in ROWS:
            lines.append(file.getvalue().count("\n"))
            yield row

    prediction_writer.write(rows(), file, "csv", top_k=2)
    assert lines == [1, 2]


def test_a_file_that_exists_is_left_alone(tmp_path):
    path = tmp_path / "found.csv"
    with prediction_writer.open_output(str(path)) as file:
        file.write("é\n")
    with pytest.raises(InputError, match=r"output=.*found.csv exists: name a new file"):
        prediction_writer.open_output(str(path))
    assert path.read_bytes() == b"\xc3\xa9\n"

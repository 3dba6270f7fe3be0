"""The four CIFAR sets from tiny files in the official binary layout through TFDS's own builders."""

import csv

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits

TRAIN, TEST = 500, 40


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Writes the unpacked official archives of both sets; returns their true labels."""
    random = np.random.RandomState(0)
    fine = random.randint(100, size=TRAIN + TEST).astype(np.uint8)
    coarse = (fine % 20).astype(np.uint8)  # five classes in each of twenty superclasses
    pixels = random.randint(256, size=(TRAIN + TEST, 3072)).astype(np.uint8)
    ten = tmp_path / "archive" / "cifar-10-batches-bin"
    hundred = tmp_path / "archive" / "cifar-100-binary"
    ten.mkdir(parents=True)
    hundred.mkdir()

    def rows(part, *labels):
        return np.concatenate([np.stack([x[part] for x in labels], 1), pixels[part]], 1).tobytes()

    labels10 = (fine % 10).astype(np.uint8)
    for i in range(5):
        part = slice(100 * i, 100 * (i + 1))
        (ten / f"data_batch_{i + 1}.bin").write_bytes(rows(part, labels10))
    (ten / "test_batch.bin").write_bytes(rows(slice(TRAIN, None), labels10))
    (ten / "batches.meta.txt").write_text("\n".join(f"c{i}" for i in range(10)) + "\n")
    (hundred / "train.bin").write_bytes(rows(slice(TRAIN), coarse, fine))
    (hundred / "test.bin").write_bytes(rows(slice(TRAIN, None), coarse, fine))
    for kind, count in [("coarse", 20), ("fine", 100)]:
        names = "\n".join(f"{kind}{i}" for i in range(count))
        (hundred / f"{kind}_label_names.txt").write_text(names + "\n")
    monkeypatch.setattr(
        tfds.download.DownloadManager, "download_and_extract", lambda self, url: ten.parent
    )
    return {"cifar10": labels10[:TRAIN], "cifar100": fine[:TRAIN]}


def prepare(tmp_path, dataset, **settings):
    config = DataConfig(dataset=dataset, data_dir=str(tmp_path / "data"), **settings)
    made = splits.prepare(config)
    return made, list(made.builder.as_dataset(split="train").as_numpy_iterator())


def write_human_labels(tmp_path, name, columns, workers):
    """Writes the files of CIFAR-N, whose annotations are in another order."""
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    order = np.random.RandomState(1).permutation(TRAIN)
    np.save(manual / f"image_order_c{name}.npy", order)
    with (manual / f"CIFAR-{name}_human_annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(values[order] for values in columns.values()), strict=True))
    with (manual / f"side_info_cifar{name}N.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(workers)
        writer.writerows([["0-9", *([1] * (len(workers) - 1))]] * (TRAIN // 5))


def test_cifar10_pairs(official, tmp_path):
    made, rows = prepare(tmp_path, "cifar10", noise="asymmetric")
    changes = {(int(r["true_label"]), int(r["label"])) for r in rows if not r["is_clean"]}
    assert changes == {(9, 1), (2, 0), (4, 7), (3, 5), (5, 3)}
    assert made.image_shape == (32, 32, 3) and made.class_names[3] == "c3"


def test_cifar100_stays_in_its_superclass(official, tmp_path):
    made, rows = prepare(tmp_path, "cifar100", noise="asymmetric", noise_level=1.0)
    for row in rows:
        following = (row["true_label"] + 20) % 100  # the next class with the same remainder
        assert row["label"] == following
    assert made.num_examples("test") == TEST and len(made.class_names) == 100


def test_symmetric_is_exact(official, tmp_path):
    made, rows = prepare(tmp_path, "cifar10", noise="symmetric", noise_level=0.4)
    wrong = [row for row in rows if row["label"] != row["true_label"]]
    assert len(wrong) == 200 and made.manifest["realized_noise_rate"] == 0.4
    assert sorted(row["true_label"] for row in rows) == sorted(official["cifar10"])


@pytest.mark.parametrize(
    ("noise", "rate"),
    [
        ("human_aggre", 0.1),
        ("human_worse", 0.4),
        ("human_random1", 0.2),
        ("human_random2", 0.2),
        ("human_random3", 0.2),
    ],
)
def test_human_labels_of_cifar10(official, tmp_path, noise, rate):
    true, tenths = official["cifar10"], np.arange(TRAIN) % 10
    wrong = {
        "clean_label": 0,
        "aggre_label": 1,
        "worse_label": 4,
        **dict.fromkeys(["random_label1", "random_label2", "random_label3"], 2),
    }
    columns = {name: (true + (tenths < count)) % 10 for name, count in wrong.items()}
    write_human_labels(tmp_path, "10", columns, ["Image-batch", *"abcdef"])
    made, rows = prepare(tmp_path, "cifar10_n", noise=noise)
    assert made.manifest["realized_noise_rate"] == rate
    for row in rows:
        index = int(row["id"].decode().removeprefix("train_"))
        assert row["true_label"] == true[index]
        assert row["label"] == (true[index] + (tenths[index] < 10 * rate)) % 10


def test_human_labels_of_cifar100(official, tmp_path):
    true = official["cifar100"]
    columns = {"clean_label": true, "noise_label": (true + (np.arange(TRAIN) % 5 < 2)) % 100}
    write_human_labels(tmp_path, "100", columns, ["Image-batch", *"ab"])
    made, rows = prepare(tmp_path, "cifar100_n")
    assert made.manifest["noise"] == "human" and made.manifest["realized_noise_rate"] == 0.4
    assert all((row["label"] == row["true_label"]) == row["is_clean"] for row in rows)


def test_human_labels_without_their_files(official, tmp_path):
    with pytest.raises(InputError, match=r"CIFAR-10_human_annotations.csv, side_info_cifar10N"):
        prepare(tmp_path, "cifar10_n")


def test_cifar100_n_without_its_files(official, tmp_path):
    with pytest.raises(InputError, match=r"CIFAR-100_human_annotations.csv, side_info_cifar100N"):
        prepare(tmp_path, "cifar100_n")

"""Tiny data sets in the official layouts.

Each function writes what a user would download by hand into `downloads/manual/` of `data_dir` (a
`pathlib.Path`), and returns that folder. The images are JPEGs of random pixels whose mean color
identifies the class.
"""

import io
import json
import pathlib
import tarfile

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification.controlled_noisy_web_labels import (
    controlled_noisy_web_labels as cnlw,
)

LEVELS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
CLASSES, PER_CLASS = 4, 12
PIXELS = np.random.RandomState(0)
TRAIN_LABELS = [label for label in range(CLASSES) for _ in range(PER_CLASS)]


def write_mini_imagenet(data_dir, monkeypatch):
    """48 training and 8 test images of the first four classes, at every level, red and blue.

    The lists of Mini-ImageNet's images, which TFDS downloads, are replaced with `monkeypatch`.
    """
    manual = _manual(data_dir)
    synsets = cnlw._IMNET_MINI_SYNSETS[:CLASSES]
    archives, names = {}, []
    for label, synset in enumerate(synsets):
        # Mini-ImageNet numbers the images of a class from 1, in the order of ImageNet's numbers.
        archives[f"{synset}.tar"] = _tar(
            {f"{synset}_{7 * i}.JPEG": _jpeg(label) for i in range(1, PER_CLASS + 1)}
        )
        names += [f"{synset}{i:08d}.jpg" for i in range(1, PER_CLASS + 1)]
    _write(manual / "ILSVRC2012_img_train.tar", _tar(archives))
    test = {f"ILSVRC2012_val_{i:08d}": i % CLASSES for i in range(1, 9)}
    val = {f"{name}.JPEG": _jpeg(label) for name, label in test.items()}
    _write(manual / "ILSVRC2012_img_val.tar", _tar(val | {"ILSVRC2012_val_00000009.JPEG": b""}))
    folder = manual / "dataset_no_images"
    _write_list(
        folder / "mini-imagenet/split/clean_validation",
        [f"{name}.jpg" for name in test],
        test.values(),
    )
    _write_levels(manual, folder / "mini-imagenet/split", names, "mini-imagenet-annotations.json")
    csv = pathlib.Path(data_dir) / "mini_imagenet.csv"
    _write(csv, "\n".join(["filename,label", *(f"{name},{name[:9]}" for name in names)]).encode())
    empty = pathlib.Path(data_dir) / "empty.csv"
    _write(empty, b"filename,label\n")
    lists = {"mini_train": str(csv), "mini_val": str(empty), "mini_test": str(empty)}
    monkeypatch.setattr(tfds.download.DownloadManager, "download", lambda self, urls: lists)
    return manual


def write_stanford_cars(data_dir):
    """48 training and 8 test images of the first four classes, at every level, red and blue."""
    manual = _manual(data_dir)
    folder = manual / "dataset_no_images"
    names = [f"{i:05d}.jpg" for i in range(1, len(TRAIN_LABELS) + 1)]
    for name, label in zip(names, TRAIN_LABELS, strict=True):
        _write(manual / "stanford_cars/cars_train" / name, _jpeg(label, 30, 40))
    test = {f"{i:05d}.jpg": i % CLASSES for i in range(1, 9)}  # the same names as in training
    for name, label in test.items():
        _write(manual / "stanford_cars/cars_test" / name, _jpeg(label, 40, 30))
    _write_list(folder / "stanford_cars/split/clean_validation", test, test.values())
    _write_levels(manual, folder / "stanford_cars/split", names, "stanford-cars-annotations.json")
    cars = "\n".join(f"Maker Car {i}" for i in range(196))
    _write(folder / "stanford_cars/class_name.txt", cars.encode())
    return manual


def write_webvision(data_dir):
    """48 Google and 8 Flickr images of four classes, 8 and 4 of later ones; 10 images to test."""
    folder = _manual(data_dir) / "webvision"
    later = [50, 999]
    _write_web(
        folder,
        "train_filelist_google.txt",
        "google/q{label:04d}/{i:05d}.jpg",
        TRAIN_LABELS + 4 * later,
        "",
    )
    _write_web(
        folder,
        "train_filelist_flickr.txt",
        "flickr/q{label:04d}/{i:05d}.jpg",
        2 * list(range(CLASSES)) + 2 * later,
        "",
    )
    _write_web(
        folder,
        "val_filelist.txt",
        "val{i:06d}.jpg",
        2 * list(range(CLASSES)) + later,
        "val_images_256",
    )
    names = tfds.core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()
    _write(folder / "info/synsets.txt", "\n".join(f"{n} a thing, a word" for n in names).encode())
    return folder.parent


def write_clothing1m(data_dir):
    """48 noisy training images of four classes and 12 clean ones, of which 8 have a noisy label,
    too, wrong for the last 4 of these; 4 to validate and 8 to test.
    """
    folder = _manual(data_dir) / "clothing1M"
    names = "T-Shirt,Shirt,Knitwear,Chiffon,Sweater,Hoodie,Windbreaker,Jacket,Downcoat,Suit,Shawl"
    names = [*names.split(","), "Dress", "Vest", "Underwear"]
    _write_lines(folder / "category_names_eng.txt", names)
    counts = {"noisy_train": 48, "clean_train": 12, "clean_val": 4, "clean_test": 8}
    clean, noisy = {}, {}
    for part, count in counts.items():
        true = {
            f"images/{i % 10}/{i:02d}/{part},{i}.jpg": TRAIN_LABELS[13 * i % 48]
            for i in range(count)
        }
        for path, label in true.items():
            _write(folder / path, _jpeg(label, 40, 30))
        _write_lines(folder / f"{part}_key_list.txt", true)
        if part == "noisy_train":
            noisy |= {path: (label + i % 2) % 4 for i, (path, label) in enumerate(true.items())}
            continue
        clean |= true
        both = list(true.items())[: 8 if part == "clean_train" else 2]
        noisy |= {path: (label + i // 4) % 4 for i, (path, label) in enumerate(both)}
    for name, labels in {"noisy": noisy, "clean": clean}.items():
        _write_list(folder / f"{name}_label_kv.txt", labels, labels.values())
    return folder.parent


def write_food101n(data_dir):
    """48 training images of the first four classes, 16 of them verified to train on, of which each
    third is wrong, and 8 to validate, all right; 8 images of Food-101 to test.

    As in the release, a line of verified_train.tsv is of an image that imagelist.tsv has otherwise.
    """
    manual = _manual(data_dir)
    folder, test_folder = manual / "Food-101N_release", manual / "food-101"
    classes = tfds.core.tfds_path("image_classification/food-101_classes.txt").read_text().split()
    _write_lines(folder / "meta/classes.txt", ["class_name", *classes])
    names = [f"{classes[label]}/{i:032x}.jpg" for i, label in enumerate(TRAIN_LABELS)]
    for name, label in zip(names, TRAIN_LABELS, strict=True):
        _write(folder / "images" / name, _jpeg(label, 40, 50))
    _write_lines(folder / "meta/imagelist.tsv", ["class_name/key", *names])
    moved = f"{classes[100]}/{names[0].rpartition('/')[2]}\t1"
    train = [moved, *(f"{name}\t{int(i % 3 > 0)}" for i, name in enumerate(names[::3]))]
    for part, checked in {"train": train, "val": [f"{name}\t1" for name in names[1::6]]}.items():
        header = "class_name/key\tverification_label"
        _write_lines(folder / f"meta/verified_{part}.tsv", [header, *checked])
    test = [f"{classes[i % CLASSES]}/{1000 + i}" for i in range(8)]
    for i, name in enumerate(test):
        _write(test_folder / "images" / f"{name}.jpg", _jpeg(i % CLASSES, 50, 40))
    _write_lines(test_folder / "meta/test.txt", test)
    return manual


def write_animal10n(data_dir):
    """48 training and 8 test images of four classes, of 64 x 64 pixels."""
    folder = _manual(data_dir) / "animal10n"
    for part, labels in {"training": TRAIN_LABELS, "testing": 2 * list(range(CLASSES))}.items():
        for i, label in enumerate(labels):
            _write(folder / part / f"{label}_{i}.jpg", _jpeg(label, 64, 64))
    return folder.parent


def write_imagenet2012(data_dir):
    """48 training images of the first four classes and 8 of later ones; 130 to test, 8 of them of
    the first 50 classes.

    TFDS includes the labels of the validation images, of which the first 130 are used.
    """
    manual = _manual(data_dir)
    synsets = tfds.core.tfds_path("datasets/imagenet2012/labels.txt").read_text().split()
    counts = [(label, PER_CLASS) for label in range(CLASSES)] + [(50, 4), (999, 4)]
    train = {
        f"{synsets[label]}.tar": _tar(
            {f"{synsets[label]}_{i}.JPEG": _jpeg(label, 50, 40) for i in range(count)}
        )
        for label, count in counts
    }
    _write(manual / "ILSVRC2012_img_train.tar", _tar(train))
    val = {f"ILSVRC2012_val_{i:08d}.JPEG": _jpeg(i, 40, 50) for i in range(1, 131)}
    _write(manual / "ILSVRC2012_img_val.tar", _tar(val))
    return manual


def _write_levels(manual, folder, names, annotations):
    """The split files of both colors, and the web images, which stand in for clean ones."""
    web = [f"{0x5922767E5677AEF4 + i:016x}.jpg" for i in range(len(names))]
    for name, label in zip(web, TRAIN_LABELS, strict=True):
        _write(manual / "noisy_images" / name, _jpeg(label + 1, 60, 60))
    for level in LEVELS:
        wrong = np.random.RandomState(round(100 * level)).permutation(len(names))
        wrong = set(wrong[: round(level * len(names))])
        blue = [(y + 1) % CLASSES if i in wrong else y for i, y in enumerate(TRAIN_LABELS)]
        _write_list(folder / f"blue_noise_nl_{level}", names, blue)
        red = [web[i] if i in wrong else name for i, name in enumerate(names)]
        _write_list(folder / f"red_noise_nl_{level}", red, TRAIN_LABELS)
    data = [[{"image/id": name[:-4], "image/uri": f"https://example.com/{name}"}] for name in web]
    _write(manual / "dataset_no_images" / annotations, json.dumps({"data": data}).encode())


def _write_web(folder, list_name, pattern, labels, image_folder):
    names = [pattern.format(label=label, i=i) for i, label in enumerate(labels)]
    for name, label in zip(names, labels, strict=True):
        _write(folder / image_folder / name, _jpeg(label, 40, 30))
    _write_list(folder / "info" / list_name, names, labels)


def _write_list(path, names, labels):
    _write_lines(path, [f"{name} {label}" for name, label in zip(names, labels, strict=True)])


def _write_lines(path, lines):
    _write(path, "\n".join([*lines, ""]).encode())


def decoded(path):
    """The pixels of an image of a layout, as TFDS decodes them."""
    return tf.io.decode_image(path.read_bytes()).numpy()


def _manual(data_dir):
    return pathlib.Path(data_dir) / "downloads" / "manual"


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _jpeg(label, height=48, width=48):
    color = np.random.RandomState(label).randint(40, 216, size=3)
    noise = PIXELS.randint(-40, 41, size=(height, width, 3))
    return tf.io.encode_jpeg((color + noise).clip(0, 255).astype(np.uint8)).numpy()


def _tar(members):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()

"""The sources that are downloaded by hand, read from tiny data sets in the official layouts."""

import pickle
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from mentormix_tf import InputError
from mentormix_tf.data.sources import imagenet2012, mini_imagenet, stanford_cars, webvision
from tests.data.conftest import REAL_SIZES
from tests.support import official_layouts

TEN = "choose one of 0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8"


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("mini_imagenet")
    with pytest.MonkeyPatch.context() as monkeypatch:
        official_layouts.write_mini_imagenet(data_dir, monkeypatch)
        yield data_dir


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("imagenet2012")
    official_layouts.write_imagenet2012(data_dir)
    return data_dir


@pytest.fixture
def cars(tmp_path):
    return official_layouts.write_stanford_cars(tmp_path)


@pytest.fixture
def web(tmp_path):
    return official_layouts.write_webvision(tmp_path) / "webvision"


def check(split, count):
    """Checks the invariants of a split; returns its images."""
    images = list(split.images)
    assert len(split.ids) == len(set(split.ids)) == len(split.labels) == len(images) == count
    backward = [split.images[i] for i in reversed(range(count))]
    assert backward == images[::-1]
    sent = pickle.loads(pickle.dumps(split.images.part(np.arange(count)[::2])))
    assert list(sent) == images[::2] and len(sent) == len(images[::2])
    for image in images:
        assert tf.io.decode_image(image).shape[-1] == 3
    known = split.true_labels >= 0
    right = split.labels == split.true_labels
    np.testing.assert_array_equal(split.is_clean[known], right[known])
    return images


def read_lines(path):
    return dict(line.split() for line in path.read_text().splitlines())


@pytest.mark.parametrize(("noise", "level"), [("red", 0.4), ("blue", 0.4), ("blue", 0), ("red", 0)])
def test_mini_imagenet(mini, noise, level):
    source = mini_imagenet.load(noise, level, str(mini), None)
    wrong = round(level * 48)
    images = check(source.train, 48)
    assert tf.io.decode_image(images[0]).shape == source.image_shape == (84, 84, 3)
    assert (source.train.is_clean == 0).sum() == wrong
    unknown = source.train.true_labels == -1
    assert unknown.sum() == (wrong if noise == "red" else 0)
    np.testing.assert_array_equal(unknown, [len(name) == 16 for name in source.train.ids])
    split = mini / "downloads/manual/dataset_no_images/mini-imagenet/split"
    listed = read_lines(split / f"{noise}_noise_nl_{float(level)}")
    assert [listed[f"{name}.jpg"] for name in source.train.ids] == list(
        map(str, source.train.labels)
    )
    if noise == "blue":
        clean = read_lines(split / "blue_noise_nl_0.0")
        true = [clean[f"{name}.jpg"] for name in source.train.ids]
        assert true == list(map(str, source.train.true_labels))
    check(source.test, 8)
    assert (source.test.is_clean == 1).all() and len(source.class_names) == 100


def test_mini_imagenet_shows_the_right_images(mini):
    train = mini_imagenet.load("blue", 0.8, str(mini), None).train
    colors = np.array([tf.io.decode_image(image).numpy().mean((0, 1)) for image in train.images])
    for label in range(4):
        assert np.ptp(colors[train.true_labels == label], axis=0).max() < 8


def test_mini_imagenet_with_other_noise_is_clean(mini):
    train = mini_imagenet.load("symmetric", 0.37, str(mini), None).train
    assert (train.is_clean == 1).all() and (np.bincount(train.labels) == 12).all()


@pytest.mark.parametrize("load", [mini_imagenet.load, stanford_cars.load])
@pytest.mark.parametrize("noise", ["red", "blue"])
def test_only_released_levels(load, noise, tmp_path):
    with pytest.raises(InputError, match=f"noise_level=0.45 was not released .*{TEN}"):
        load(noise, 0.45, str(tmp_path), None)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("ILSVRC2012_img_train.tar", "image-net.org/download-images"),
        ("ILSVRC2012_img_val.tar", "image-net.org/download-images"),
        ("dataset_no_images/mini-imagenet/split/red_noise_nl_0.15", "cnlw/dataset_no_images.zip"),
        ("dataset_no_images/mini-imagenet-annotations.json", "cnlw/dataset_no_images.zip"),
        ("noisy_images/5922767e5677aef6.jpg", "lacks 1 of 48 web images"),
    ],
)
def test_mini_imagenet_names_what_is_missing(tmp_path, monkeypatch, missing, words):
    manual = official_layouts.write_mini_imagenet(tmp_path, monkeypatch)
    # A web image that no level lists is not needed.
    listed = (manual / "dataset_no_images/mini-imagenet/split/red_noise_nl_0.8").read_text()
    (manual / "dataset_no_images/mini-imagenet/split/red_noise_nl_0.8").write_text(
        listed
        + "".join(
            f"{path.name} 0\n"
            for path in (manual / "noisy_images").iterdir()
            if path.name not in listed
        )
    )
    (manual / missing).unlink()
    with pytest.raises(InputError) as error:
        mini_imagenet.load("red", 0.4, str(tmp_path), None)
    for word in (missing.removeprefix("noisy_images/"), words, str(manual)):
        assert word in str(error.value)


def test_mini_imagenet_explains_a_file_that_is_not_an_image(tmp_path, monkeypatch):
    manual = official_layouts.write_mini_imagenet(tmp_path, monkeypatch)
    for path in (manual / "noisy_images").iterdir():
        path.write_bytes(b"<html>Gone</html>")
    with pytest.raises(
        InputError, match=r"can't be prepared .* a file in noisy_images/ is not an image"
    ):
        mini_imagenet.load("red", 0.4, str(tmp_path), None)


def test_mini_imagenet_needs_opencv(tmp_path, monkeypatch):
    official_layouts.write_mini_imagenet(tmp_path, monkeypatch)
    monkeypatch.setattr(mini_imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install opencv-python-headless"):
        mini_imagenet.load("blue", 0.4, str(tmp_path), None)


@pytest.mark.parametrize("noise", ["red", "blue", "symmetric"])
def test_stanford_cars(tmp_path, cars, noise):
    source = stanford_cars.load(noise, 0.4, str(tmp_path), None)
    wrong = 0 if noise == "symmetric" else 19
    train, split = source.train, cars / "dataset_no_images/stanford_cars/split"
    listed = read_lines(
        split / {"symmetric": "blue_noise_nl_0.0"}.get(noise, f"{noise}_noise_nl_0.4")
    )
    assert dict(zip(train.ids, map(str, train.labels), strict=True)) == listed
    assert (train.is_clean == 0).sum() == wrong and (train.is_clean == 1).sum() == 48 - wrong
    web = np.array([len(name) == 20 for name in train.ids])
    clean = read_lines(split / "blue_noise_nl_0.0")
    true = [int(clean.get(name, -1)) for name in train.ids]
    np.testing.assert_array_equal(train.true_labels, true)
    assert web.sum() == (19 if noise == "red" else 0)
    for name, image in zip(train.ids, check(train, 48), strict=True):
        folder = "noisy_images" if len(name) == 20 else "stanford_cars/cars_train"
        assert image == (cars / folder / name).read_bytes()
    for name, image in zip(source.test.ids, check(source.test, 8), strict=True):
        assert image == (cars / "stanford_cars/cars_test" / name).read_bytes()
    assert source.class_names[195] == "Maker Car 195" and source.image_shape == (None, None, 3)


def test_stanford_cars_in_one_folder(tmp_path, cars):
    images = {
        path.name: path.read_bytes() for path in (cars / "stanford_cars/cars_train").iterdir()
    }
    (cars / "stanford_cars/cars_train").rename(cars / "stanford_cars/car_ims")
    (cars / "dataset_no_images/stanford_cars/class_name.txt").unlink()
    source = stanford_cars.load("blue", 0.2, str(tmp_path), None)
    assert list(source.train.images) == [images[name] for name in source.train.ids]
    assert source.class_names[195] == "195"


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("stanford_cars/cars_train/00002.jpg", "lacks 1 of the 48 images"),
        ("stanford_cars/cars_test", "lacks 8 of the 8 images"),
        ("noisy_images", "lacks 38 of the 48 images"),
        ("dataset_no_images/stanford_cars/split/red_noise_nl_0.8", "cnlw/dataset_no_images.zip"),
        ("dataset_no_images/stanford_cars/split/clean_validation", "cnlw/dataset_no_images.zip"),
    ],
)
def test_stanford_cars_names_what_is_missing(tmp_path, cars, missing, words):
    level = 0.0 if missing.endswith("00002.jpg") else 0.8
    shutil.rmtree(cars / missing) if (cars / missing).is_dir() else (cars / missing).unlink()
    with pytest.raises(InputError) as error:
        stanford_cars.load("red", level, str(tmp_path), None)
    assert words in str(error.value) and missing in str(error.value)


@pytest.mark.parametrize("line", ["00003.jpg 196", "00003.jpg -1", "00003.jpg", "00003.jpg x"])
def test_stanford_cars_checks_labels(tmp_path, cars, line):
    path = cars / "dataset_no_images/stanford_cars/split/clean_validation"
    path.write_text(f"00001.jpg 195\n{line}\n")
    with pytest.raises(InputError, match=f"clean_validation has '{line}' in line 2.* 0 to 195"):
        stanford_cars.load("blue", 0.4, str(tmp_path), None)
    path.write_text("00001.jpg 195\n00001.jpg 3\n")
    with pytest.raises(InputError, match=r"lists 00001\.jpg again in line 2"):
        stanford_cars.load("blue", 0.4, str(tmp_path), None)


def test_webvision(tmp_path, web):
    source = webvision.load_full("web", 0.0, str(tmp_path), None)
    train, test = source.train, source.test
    listed = read_lines(web / "info/train_filelist_google.txt")
    listed |= read_lines(web / "info/train_filelist_flickr.txt")
    assert dict(zip(train.ids, map(str, train.labels), strict=True)) == listed
    assert (train.true_labels == -1).all() and (train.is_clean == -1).all()
    assert check(train, 68) == [(web / name).read_bytes() for name in train.ids]
    assert check(test, 10) == [(web / "val_images_256" / name).read_bytes() for name in test.ids]
    assert test.labels.max() == 999 and (test.is_clean == 1).all()
    assert len(source.class_names) == 1000 and source.class_names[0] == "n01440764"


def test_mini_webvision(tmp_path, web):
    (web / "val_images_256").rename(web / "val_images")
    shutil.rmtree(web / "flickr")
    (web / "info/train_filelist_flickr.txt").unlink()
    source = webvision.load_mini("web", 0.0, str(tmp_path), None)
    train = check(source.train, 48)
    assert train == [(web / name).read_bytes() for name in source.train.ids]
    test = check(source.test, 8)
    assert test == [(web / "val_images" / name).read_bytes() for name in source.test.ids]
    assert source.train.labels.max() < 50 and source.test.labels.max() < 50
    assert len(source.class_names) == 50


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("info/synsets.txt", "webvision/download.html"),
        ("info/train_filelist_flickr.txt", "webvision/download.html"),
        ("info/val_filelist.txt", "webvision/download.html"),
        ("val_images_256", "webvision/download.html"),
        ("flickr", "lacks 12 of 68 images"),
        ("val_images_256/val000003.jpg", "lacks 1 of 10 images"),
    ],
)
def test_webvision_names_what_is_missing(tmp_path, web, missing, words):
    shutil.rmtree(web / missing) if (web / missing).is_dir() else (web / missing).unlink()
    with pytest.raises(InputError) as error:
        webvision.load_full("web", 0.0, str(tmp_path), None)
    for word in (missing.removeprefix("val_images_256/"), words, str(web)):
        assert word in str(error.value)


def test_webvision_checks_labels_and_synsets(tmp_path, web):
    path = web / "info/val_filelist.txt"
    path.write_text("val000000.jpg 1000\n")
    with pytest.raises(InputError, match=r"val_filelist\.txt has .* in line 1: .* 0 to 999"):
        webvision.load_mini("web", 0.0, str(tmp_path), None)
    (web / "info/synsets.txt").write_text("n01440764 tench\n")
    with pytest.raises(InputError, match=r"synsets\.txt has 1 lines instead"):
        webvision.load_mini("web", 0.0, str(tmp_path), None)


def test_imagenet2012(imagenet):
    source = imagenet2012.load_full("symmetric", 0.0, str(imagenet), None)
    check(source.train, 56)
    check(source.test, 130)
    counts = {0: 12, 1: 12, 2: 12, 3: 12, 50: 4, 999: 4}
    assert dict(zip(*np.unique(source.train.labels, return_counts=True), strict=True)) == counts
    # TFDS orders the classes by WordNet id, like WebVision's synsets.txt.
    assert source.class_names == sorted(source.class_names) and len(source.class_names) == 1000
    assert source.class_names[0] == "n01440764" and source.image_shape == (None, None, 3)


def test_imagenet2012_first_50(imagenet):
    full = imagenet2012.load_full("symmetric", 0.0, str(imagenet), None)
    source = imagenet2012.load_first_50("symmetric", 0.0, str(imagenet), None)
    check(source.train, 48)
    check(source.test, 8)
    images = dict(zip(full.train.ids, full.train.images, strict=True))
    assert [images[name] for name in source.train.ids] == list(source.train.images)
    assert source.class_names == full.class_names[:50]
    assert sorted(source.test.labels) == [21, 22, 23, 23, 28, 29, 32, 46]


@pytest.mark.parametrize("missing", list(imagenet2012.TARS))
def test_imagenet2012_names_what_is_missing(tmp_path, missing):
    manual = official_layouts.write_imagenet2012(tmp_path)
    (manual / missing).unlink()
    with pytest.raises(InputError, match=f"{missing} in {manual}.*image-net.org"):
        imagenet2012.load_full("symmetric", 0.0, str(tmp_path), None)


def test_imagenet2012_prepared_from_one_archive(tmp_path):
    manual = official_layouts.write_imagenet2012(tmp_path)
    (manual / next(iter(imagenet2012.TARS))).unlink()
    tfds.builder("imagenet2012", data_dir=tmp_path).download_and_prepare()
    with pytest.raises(InputError, match=r"has no split train .* delete that folder"):
        imagenet2012.load_full("symmetric", 0.0, str(tmp_path), None)


def test_prepared_sets_need_no_archives(imagenet, tmp_path):
    shutil.copytree(imagenet / "imagenet2012", tmp_path / "imagenet2012")
    source = imagenet2012.load_first_50("symmetric", 0.0, str(tmp_path), None)
    assert len(list(source.train.images)) == 48


def test_incomplete_archive(tmp_path, monkeypatch):
    official_layouts.write_imagenet2012(tmp_path)
    name, size = next(iter(REAL_SIZES.items()))
    monkeypatch.setitem(imagenet2012.TARS, name, size)
    with pytest.raises(
        InputError, match=rf"{name} has \d+ bytes instead of {size}: download it again"
    ):
        imagenet2012.load_full("symmetric", 0.0, str(tmp_path), None)

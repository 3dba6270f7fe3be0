"""JPEG training batches of 224 and 299 pixels, against a plain tf.data pipeline and torchvision.

A folder of made-up photos of 500 x 375 pixels; each makes ImageNet's random crops, flipped at
random, on all cores; ours and torchvision's are antialiased. torchvision needs `--torch_python`.
"""

import itertools
import os
import pathlib
import tempfile

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.harness import Child, Measurement, Size
from benchmarks.subjects.pipeline import speed
from mentormix_tf.data import augment, pipeline, splits

__all__ = ["measure"]

BATCH = 32


def write_photos(folder: pathlib.Path, count: int) -> None:
    """Writes photos of two classes, which compress as photos do."""
    random = np.random.RandomState(0)
    for i in range(count):
        coarse = random.randint(256, size=(24, 32, 3)).astype(np.uint8)
        smooth = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        pixels = np.asarray(smooth, np.float32) + random.normal(0, 8, (375, 500, 3))
        path = folder / f"class_{i % 2}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def plain(files: list[str], side: int, antialias: bool) -> tf.data.Dataset:
    """The pipeline that a user of tf.data would write: decode and crop in one, resize, flip."""

    def example(file):
        encoded = tf.io.read_file(file)
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(encoded),
            tf.zeros([1, 0, 4]),
            area_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.concat([begin[:2], size[:2]], axis=0)
        image = tf.image.decode_and_crop_jpeg(encoded, window, channels=3)
        image = tf.image.resize(image, (side, side), antialias=antialias)
        return tf.image.random_flip_left_right(image)

    dataset = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).repeat()
    dataset = dataset.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def measure(size: Size) -> list[Measurement]:
    """Measures each pipeline at each image size, in turns."""
    seconds = 0.1 if size.is_quick else 3.0
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_photos(folder / "photos", 80 if size.is_quick else 400)
        data = splits.load_split(f"folder:{folder}/photos", data_dir=f"{folder}/data")
        files = sorted(map(str, (folder / "photos").rglob("*.jpg")))
        for side in (224,) if size.is_quick else (224, 299):
            augmentation = augment.AUGMENTATIONS["imagenet"]
            ours = pipeline.train_batches(data, BATCH, 0, augmentation, (side, side, 3))
            made = {
                "ours": iter(ours),
                "plain tf.data, antialiased": iter(plain(files, side, True)),
                "plain tf.data": iter(plain(files, side, False)),
            }
            for batches in made.values():
                for _ in itertools.islice(batches, 4):
                    pass
            speeds = {who: [] for who in made}
            child = None
            if size.torch_python:
                command = [size.torch_python, "-m", "benchmarks.torch_jpeg", str(folder / "photos")]
                child = Child([*command, str(side), str(BATCH), str(os.cpu_count()), str(seconds)])
                speeds["torchvision"] = []
            for _ in range(max(1, size.repetitions // 4)):
                for who, batches in made.items():
                    for _ in itertools.islice(batches, 6):
                        pass
                    speeds[who].append(speed(batches, seconds, BATCH))
                if child is not None:
                    before = child.processor
                    child()  # says images per second in place of seconds
                    speeds["torchvision"].append(child.processor - before)
            if child is not None:
                child.close()
            found += [Measurement(f"{side} px, {who}", "images/s", s) for who, s in speeds.items()]
    return found

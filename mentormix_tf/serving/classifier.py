"""Classifies images, in one graph that evaluate, predict and exported SavedModels share."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from mentormix_tf.data import headers
from mentormix_tf.data.augment import Augmentation
from mentormix_tf.runs.saved_run import SavedRun, TrainedNetwork

__all__ = ["TOP", "Classifier", "of_run"]

TOP = 5  # classes named for each image


class Classifier:
    """A trained network with the preprocessing of its images and the names of its classes.

    `classify_encoded` and `classify_arrays` are the SavedModel's signatures. They return a dict:

    - `classes` `[batch]`, string: the name of the most probable class;
    - `scores` `[batch, num_classes]`, float32: all probabilities, in the order of the class names;
    - `top_classes` `[batch, top]`, string, and `top_scores` `[batch, top]`, float32: the five most
      probable classes, or all if there are fewer, in descending order.

    Args:
        network: maps images `[batch, height, width, channels]`, float32, in [0, 255], to logits
            `[batch, num_classes]`.
        class_names: the name of each class.
        image_shape: `(height, width, channels)` of the network's input.
        augmentation: its `decode_eval` and `resize_eval` make images of that shape.
        max_pixels: most pixels of an encoded image, which is checked before it is decoded; None for
            images that were checked already.

    Attributes:
        decode: maps an encoded image, a scalar string, to `[height, width, channels]`, float32.
        classify: takes decoded images `[batch, height, width, channels]`, float32.
        classify_encoded: takes `[batch]`, string: JPEG, PNG, BMP or GIF files of any size.
        classify_arrays: takes `[batch, any height, any width, channels]`, uint8.
    """

    def __init__(
        self,
        network: keras.Model,
        class_names: Sequence[str],
        image_shape: Sequence[int],
        augmentation: Augmentation,
        max_pixels: int | None = None,
    ):
        self.network = network
        self.class_names = list(class_names)
        shape = tuple(image_shape)
        shown = tf.TensorSpec(shape, tf.float32)

        def decode(encoded):
            with tf.control_dependencies(_assert_size(encoded, max_pixels)):
                return augmentation.decode_eval(tf.identity(encoded), shape)

        def classify(images):
            scores = tf.nn.softmax(network(images, training=False))
            top_scores, top = tf.math.top_k(scores, min(TOP, len(self.class_names)))
            top_classes = tf.gather(tf.constant(self.class_names), top)
            return {
                "classes": top_classes[:, 0],
                "scores": scores,
                "top_classes": top_classes,
                "top_scores": top_scores,
            }

        def classify_encoded(images):
            return classify(tf.map_fn(decode, images, fn_output_signature=shown))

        def classify_arrays(images):
            def resize(image):
                return augmentation.resize_eval(image, shape)

            return classify(tf.map_fn(resize, images, fn_output_signature=shown))

        def compiled(function, batch_shape, dtype):
            spec = tf.TensorSpec(batch_shape, dtype, name="images")
            return tf.function(function, input_signature=[spec], autograph=False)

        self.decode = compiled(decode, [], tf.string)
        self.classify = compiled(classify, [None, *shape], tf.float32)
        self.classify_encoded = compiled(classify_encoded, [None], tf.string)
        self.classify_arrays = compiled(classify_arrays, [None, None, None, shape[-1]], tf.uint8)


def of_run(run: SavedRun, trained: TrainedNetwork, max_pixels: int | None = None) -> Classifier:
    """The classifier of a run whose network is `trained`; for `max_pixels`, see `Classifier`."""
    return Classifier(
        trained.network, run.class_names, run.image_shape, run.augmentation, max_pixels
    )


def _assert_size(encoded, max_pixels):
    if max_pixels is None:
        return []
    # TensorFlow may know other formats, whose sizes and EXIF this graph can't read.
    message = f"An image is no JPEG, PNG, BMP or GIF of 1 to {max_pixels} pixels."
    pixels = headers.num_pixels(encoded)
    return [tf.debugging.Assert((pixels >= 1) & (pixels <= max_pixels), [message])]

"""Classifying images: the one path that evaluate, predict and an exported SavedModel share."""

import tensorflow as tf

TOP = 5  # classes that are named for each image


class Classifier:
    """A trained network together with what turns images into its input and names its output.

    `classify_encoded` and `classify_arrays` are the SavedModel's signatures. They return, for each
    image, `classes` `[batch]`, string, the most probable class's name; `scores` `[batch,
    num_classes]`, float32, all probabilities in the order of the class names; and of the five most
    probable classes `top_classes` `[batch, 5]`, string, and `top_scores` `[batch, 5]`, float32, the
    most probable first.

    Args:
        network: Keras network from images `[batch, height, width, channels]`, float32, in [0, 255],
            to logits `[batch, num_classes]`.
        class_names: a name for each class.
        image_shape: `(height, width, channels)` of what the network is shown.
        augmentation: `Augmentation` whose `decode_eval` and `resize_eval` make that.

    Attributes:
        decode: function of encoded bytes, a scalar string, to `[height, width, channels]`, float32.
        classify: function of such images `[batch, height, width, channels]`.
        classify_encoded: function of `[batch]`, string: JPEG, PNG, BMP or GIF files of any size.
        classify_arrays: function of `[batch, any height, any width, channels]`, uint8.
    """

    def __init__(self, network, class_names, image_shape, augmentation):
        self.network = network
        self.class_names = list(class_names)
        shape = tuple(image_shape)
        shown = tf.TensorSpec(shape, tf.float32)

        def decode(encoded):
            return augmentation.decode_eval(encoded, shape)

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
            return tf.function(function, input_signature=[spec])

        self.decode = compiled(decode, [], tf.string)
        self.classify = compiled(classify, [None, *shape], tf.float32)
        self.classify_encoded = compiled(classify_encoded, [None], tf.string)
        self.classify_arrays = compiled(classify_arrays, [None, None, None, shape[-1]], tf.uint8)


def of_run(run, trained):
    """The classifier of a run.

    Args:
        run: `SavedRun`.
        trained: `TrainedNetwork` of that run.

    Returns:
        `Classifier`.
    """
    return Classifier(trained.network, run.class_names, run.image_shape, run.augmentation)

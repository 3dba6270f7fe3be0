"""Classifies images with a SavedModel in a process that has TensorFlow but not this package.

    python client.py SAVED_MODEL IMAGES SCORES.npz

IMAGES is a TFRecord file of encoded images. SCORES.npz will have the scores of each way of calling
the model.
"""

import sys

for name in ("keras", "tf_keras", "mentormix_tf"):
    sys.modules[name] = None  # importing it fails from here on

from concurrent.futures import ThreadPoolExecutor  # noqa: E402

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

saved_model, images, scores = sys.argv[1:]
model = tf.saved_model.load(saved_model)
images = list(tf.data.TFRecordDataset(images).as_numpy_iterator())


def classify(batch_size):
    classify = model.signatures["serving_default"]
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    return np.concatenate([classify(images=tf.constant(b))["scores"].numpy() for b in batches])


found = {f"batches_of_{size}": classify(size) for size in (1, 7, 64)}
with ThreadPoolExecutor(2) as threads:
    found["thread_1"], found["thread_2"] = threads.map(classify, (7, 64))
decoded = [tf.io.decode_image(image, expand_animations=False).numpy() for image in images]
if len({array.shape for array in decoded}) == 1:
    arrays = model.signatures["arrays"](images=tf.constant(np.stack(decoded)))
    found["arrays"] = arrays["scores"].numpy()
assert not any(sys.modules.get(name) for name in ("keras", "tf_keras", "mentormix_tf"))
np.savez(scores, **found)

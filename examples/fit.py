"""MentorMix on arrays, as in a notebook: digits, 40 % of them labeled wrong."""

import keras
import numpy as np
from sklearn.datasets import load_digits

from mentormix_tf import MentorMix

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1).astype("float32")
test_images, test_labels = images[1500:], labels[1500:]
images, labels = images[:1500], labels[:1500]

random = np.random.default_rng(0)
wrong = random.random(len(labels)) < 0.4
noisy_labels = np.where(wrong, (labels + random.integers(1, 10, len(labels))) % 10, labels)

network = keras.Sequential(
    [
        keras.layers.Input((8, 8, 1)),
        keras.layers.Rescaling(1 / 8, offset=-1),
        keras.layers.Conv2D(32, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10),
    ]
)
model = MentorMix(network, num_classes=10, gamma_p=0.6, alpha=8.0)
model.compile(keras.optimizers.SGD(0.03, momentum=0.9), metrics=["accuracy"])
model.fit(images, noisy_labels, batch_size=128, epochs=30, verbose=2)
measured = model.evaluate(test_images, test_labels, verbose=0, return_dict=True)
print("accuracy on clean test labels:", float(measured["accuracy"]))
model.network.save("network.keras")

"""A small convolutional network, for small images and for trying things out."""

from keras import layers, models


def small_cnn(image_shape, num_classes):
    """Two stages of two 3x3 convolutions, then a dense layer of 128 units; BatchNorm after each.

    Args:
        image_shape: `(height, width, channels)`, at least 2 x 2.
        num_classes: number of logits.

    Returns:
        A `keras.Model` from images in [0, 255] to logits; 0.1 M parameters for 8 x 8 pixels.
    """
    stack = [layers.Input(image_shape), layers.Rescaling(1 / 127.5, offset=-1.0)]
    for filters in (32, 64):
        for _ in range(2):
            stack.append(layers.Conv2D(filters, 3, padding="same", use_bias=False))
            stack += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
        stack.append(layers.MaxPooling2D())
    stack += [layers.Flatten(), layers.Dense(128, use_bias=False)]
    stack += [layers.BatchNormalization(momentum=0.9), layers.ReLU(), layers.Dense(num_classes)]
    return models.Sequential(stack, name="small_cnn")

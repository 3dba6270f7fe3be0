"""The curriculum of MentorNet-PD: its targets, training on them, and measuring the result."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.mentors.mentornet_pd import WEIGHTS, mentor_logits

__all__ = [
    "BATCH_SIZE",
    "CLIP",
    "DECAY",
    "DIFFERENCES",
    "LOSSES",
    "RAMP_FROM",
    "SAMPLES",
    "STAGES",
    "STEPS_PER_DECAY",
    "THRESHOLD",
    "agreement",
    "answers",
    "grid",
    "initial_weights",
    "step_positions",
    "target",
    "teach",
]

# The grid of examples: google/mentornet, training_mentornet/data_generator.py.
LOSSES = np.concatenate([np.arange(100) / 10, np.arange(10, 30)])
DIFFERENCES = np.arange(-50, 50) / 10
STAGES = np.arange(100)
SAMPLES = 100_000

# The published curriculum has weight 1 up to stage 18, its step at 0 and its ramp from stage 90;
# these values reproduce the released weights. The grid does not determine where the step lies
# between its points 0 and 0.1.
THRESHOLD = 0.055
RAMP_FROM = 80

# The training: google/mentornet, training_mentornet/train.py.
BATCH_SIZE = 32
STEPS_PER_DECAY, DECAY = 1000, 0.9
CLIP = 5.0


def target(differences: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """Computes the target of v: a threshold, and a ramp in the last fifth of training.

    Args:
        differences: loss - γ.
        stages: hundredths of training, in [0, 99]; of the same shape.

    Returns:
        Float32, of the same shape, in [0, 1].
    """
    step = differences <= THRESHOLD
    ramp = np.clip(1.0 - differences, 0.0, 1.0)
    return np.where(stages < RAMP_FROM, step, ramp).astype(np.float32)


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns every combination of loss, difference and stage.

    Returns:
        Losses and differences, float32, and stages, int32; `[1_200_000]` each.
    """
    losses, differences, stages = np.meshgrid(LOSSES, DIFFERENCES, STAGES, indexing="ij")
    return (
        losses.ravel().astype(np.float32),
        differences.ravel().astype(np.float32),
        stages.ravel().astype(np.int32),
    )


def initial_weights(random: np.random.RandomState) -> dict[str, np.ndarray]:
    """Draws initial weights as the released code does.

    Hidden and output layer are normal, LSTM biases 0, all else Glorot uniform.

    Args:
        random: the source of the draws.

    Returns:
        Float32 arrays with the names and shapes of `WEIGHTS`.
    """

    def draw(name, shape):
        if name.startswith(("hidden", "output")):
            return random.normal(size=shape)
        if name.endswith("bias"):
            return np.zeros(shape)
        limit = np.sqrt(6.0 / sum(shape))
        return random.uniform(-limit, limit, size=shape)

    return {name: draw(name, shape).astype(np.float32) for name, (shape, _) in WEIGHTS.items()}


def teach(steps: int, learning_rate: float, seed: int) -> dict[str, np.ndarray]:
    """Trains a network on the curriculum with Adam.

    The loss is the squared error: like the released code, which uses cross-entropy only if all
    targets are 0 or 1.

    Args:
        steps: number of batches.
        learning_rate: initial learning rate, which is multiplied by 0.9 every 1000 steps.
        seed: seed of the initial weights, of the sample of the grid and of the batches.

    Returns:
        Float32 arrays with the names and shapes of `WEIGHTS`.
    """
    random = np.random.RandomState(seed)
    network = {name: keras.Variable(value) for name, value in initial_weights(random).items()}
    losses, differences, stages = grid()
    samples = random.permutation(len(losses))[:SAMPLES]
    examples = [tf.constant(array[samples]) for array in (losses, differences, stages)]
    targets = tf.constant(target(differences, stages)[samples])
    batches = random.randint(SAMPLES, size=(steps, BATCH_SIZE))

    rate: Any = keras.optimizers.schedules.ExponentialDecay(
        learning_rate, STEPS_PER_DECAY, DECAY, staircase=True
    )
    optimizer = keras.optimizers.Adam(rate, epsilon=1e-8, global_clipnorm=CLIP)
    variables = list(network.values())
    optimizer.build(variables)

    @tf.function(input_signature=[tf.TensorSpec([None, BATCH_SIZE], tf.int64)])
    def learn(batches):
        for batch in batches:
            with tf.GradientTape() as tape:
                v = tf.sigmoid(mentor_logits(network, *(tf.gather(a, batch) for a in examples)))
                error = tf.reduce_mean((v - tf.gather(targets, batch)) ** 2)
            gradients = tape.gradient(error, [variable.value for variable in variables])
            optimizer.apply([tf.convert_to_tensor(g) for g in gradients], variables)

    with tqdm(total=steps, desc="Training", unit="step", disable=None) as bar:  # in terminals only
        for start in range(0, steps, 1000):
            chunk = batches[start : start + 1000]
            learn(tf.constant(chunk))
            bar.update(len(chunk))
    return {name: variable.numpy() for name, variable in network.items()}


def answers(
    network: Mapping[str, np.ndarray],
    losses: np.ndarray,
    differences: np.ndarray,
    stages: np.ndarray,
) -> np.ndarray:
    """Computes v of many examples, in 100 parts to save memory.

    Args:
        network: float32 arrays with the names and shapes of `WEIGHTS`.
        losses: `[examples]`.
        differences: `[examples]`, loss - γ.
        stages: `[examples]`, hundredths of training, in [0, 99].

    Returns:
        `[examples]`, float32.
    """
    inputs = losses.astype("f4"), differences.astype("f4"), stages.astype("i4")
    parts = zip(*(np.array_split(array, 100) for array in inputs), strict=True)
    return np.concatenate([tf.sigmoid(mentor_logits(network, *part)) for part in parts])


def agreement(network: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Measures how closely a network fits the curriculum on the whole grid.

    Args:
        network: float32 arrays with the names and shapes of `WEIGHTS`.

    Returns:
        For each part of the grid: its name, its number of points, the share of them at which v is
        within 0.1 of the target, and the mean and largest absolute error.
    """
    losses, differences, stages = grid()
    errors = abs(answers(network, losses, differences, stages) - target(differences, stages))
    early = stages < RAMP_FROM
    beside = abs(differences - THRESHOLD) < 0.1
    sloped = (differences > -0.05) & (differences < 1.05)
    parts = {
        "all": np.ones_like(early),
        f"progress < {RAMP_FROM}, next to the step": early & beside,
        f"progress < {RAMP_FROM}, elsewhere": early & ~beside,
        f"progress >= {RAMP_FROM}, on the ramp": ~early & sloped,
        f"progress >= {RAMP_FROM}, elsewhere": ~early & ~sloped,
    }
    return [
        {
            "part": name,
            "points": int(part.sum()),
            "share_within_0.1": float(np.mean(errors[part] <= 0.1)),
            "mean_abs_error": float(np.mean(errors[part], dtype=np.float64)),
            "largest_error": float(errors[part].max()),
        }
        for name, part in parts.items()
    ]


def step_positions(network: Mapping[str, np.ndarray]) -> np.ndarray:
    """Finds the loss - γ at which v falls below ½, in the stages before the ramp.

    Args:
        network: float32 arrays with the names and shapes of `WEIGHTS`.

    Returns:
        `[stages, losses]`, float64, for every eighth stage and every tenth loss: the smallest
        loss - γ, in steps of 0.001 from -0.2 to 0.3, at which v is below ½; 0.3 if there is none.
    """
    differences = np.arange(-200, 301) / 1000
    axes = np.arange(0, RAMP_FROM, 8), LOSSES[::10], differences
    stages, losses, each = np.meshgrid(*axes, indexing="ij")
    v = answers(network, losses.ravel(), each.ravel(), stages.ravel()).reshape(each.shape)
    below = v < 0.5
    return differences[np.where(below.any(axis=2), below.argmax(axis=2), -1)]

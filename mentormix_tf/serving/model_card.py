"""Writes a model card: data, training, accuracy and license of an exported model.

It follows Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, as far as a run knows.
"""

import pathlib

from mentormix_tf import markdown
from mentormix_tf.runs.saved_run import SavedRun, TrainedNetwork

__all__ = ["FILE", "UNKNOWN", "noise", "test_accuracy", "write"]

FILE = "model_card.md"
UNKNOWN = "unknown"


def write(run: SavedRun, trained: TrainedNetwork, license: str = "", usage: str = "") -> str:
    """The model card of a trained network, as Markdown.

    Args:
        run: the run.
        trained: its network.
        license: the model's license; "" if not stated.
        usage: a section on how to use it, in Markdown; "" for none.
    """
    return f"""# {run.config.method} on {markdown.escaped(run.config.data.dataset)}

An image classifier that mentormix_tf trained on noisy labels.

{usage and usage + chr(10)}## Data

{_list(_data(run))}

## Training

{_list(_training(run, trained))}

To repeat the run, use its flags.txt, beside this file:
`python -m mentormix_tf.train --flagfile=flags.txt`.

## Accuracy

{_list(_accuracies(run, trained))}

Nothing was chosen by test labels. `python -m mentormix_tf.evaluate` measures how well the scores
are calibrated; for images unlike the training set's they mean little.

## Input and output

Images of any size are resized to {_size(run.image_shape)}. class_names.txt lists the
{len(run.class_names)} classes in the order of the scores.

## License

{markdown.escaped(license) or "Not stated. Ask the authors of the model and of its training data."}
"""


def noise(run: SavedRun) -> str:
    """The label noise of a run's training set, in words."""
    data = run.config.data
    level = "" if data.noise_level is None else f", level {data.noise_level:g}"
    return f"{data.noise}{level}, seed {data.noise_seed}"


def test_accuracy(trained: TrainedNetwork) -> float | None:
    """The accuracy on the test split's clean labels; None if it was not measured."""
    prefix = "averaged_" if trained.weights == "averaged" else ""
    text = trained.measured.get(f"{prefix}test_accuracy")
    return float(text) if text else None


def _data(run):
    data, model = run.config.data, run.model
    wrong = model.get("realized_noise_rate")
    return {
        "Data set": data.dataset,
        "Label noise": noise(run),
        "Wrong training labels": UNKNOWN if wrong is None else f"{wrong:.2%}",
        "SHA-256 of the split": model.get("split_sha256", UNKNOWN),
        "Held out for validation": f"{data.validation_fraction:g} of the noisy training examples",
    }


def _training(run, trained):
    training = run.config.training
    own = run.config.hyperparameters.items()
    own = ", ".join(f"{name}={value}" for name, value in own if value != "")
    versions = run.result.get("versions", {})
    return {
        "Method": f"{run.config.method} ({own})" if own else run.config.method,
        "Network": _network(training),
        **_inference(training),
        "Steps": f"{trained.step:,} of {training.train_steps:,}",
        "Batch size": training.batch_size,
        "Learning rate": f"{training.learning_rate:g}, {training.schedule}",
        "Weight decay": f"{training.weight_decay:g}",
        "Sharpness-aware minimization": f"rho {training.sam_rho:g}" if training.sam_rho else "no",
        "Precision": f"{training.precision}; the exported network computes in float32",
        "Seed": training.seed,
        "Weights": trained.weights
        + (f", decay {training.ema_decay:g}" if trained.weights == "averaged" else ""),
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()) or UNKNOWN,
    }


def _inference(training):
    """How the network names classes, if not by its softmax."""
    if training.inference == "softmax":
        return {}
    layers = " and ".join(training.rog_layers)
    return {"Classes": f"by robust Gaussians of its {layers} features (Lee et al., ICML 2019)"}


def _network(training):
    """The network, what it began with, and which of its layers trained."""
    name = pathlib.PurePath(training.network).name
    if training.pretrained:
        name += ", from ImageNet weights"
    if training.preprocessing != "none":
        name += f", images scaled {training.preprocessing}"
    if training.train_layers == "head":
        name += ", of which the last layer trained"
    elif training.train_layers != "all":
        blocks = "block" if training.train_layers == "1" else f"{training.train_layers} blocks"
        name += f", of which the last layer and the {blocks} before it trained"
    return name + (", BatchNorm frozen" if training.freeze_batch_norm else "")


def _accuracies(run, trained):
    """The accuracies of these weights at their step, and the highest of the run as a warning."""
    averaged = trained.weights == "averaged"
    row = trained.measured
    accuracies = {"Test accuracy (clean labels)": test_accuracy(trained)}
    if not averaged and "validation_accuracy" in row:
        accuracies["Validation accuracy (noisy labels)"] = row["validation_accuracy"]
    peak = run.result.get("averaged_peak_accuracy" if averaged else "peak_accuracy")
    if peak is not None:
        accuracies["Highest test accuracy at any step, which these weights may not reach"] = peak
    return {
        name: f"{float(value):.4f}" if value not in (None, "") else "not measured at this step"
        for name, value in accuracies.items()
    }


def _list(facts):
    return "\n".join(f"- {name}: {markdown.escaped(value)}" for name, value in facts.items())


def _size(image_shape):
    height, width, channels = image_shape
    return f"{height} x {width} pixels with {channels} channel{'s' if channels > 1 else ''}"

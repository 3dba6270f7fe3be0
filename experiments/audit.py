"""Measures how well audits find wrong labels that are known, beside cleanlab on the same network.

    python -m experiments.audit digits runs/audit docs/results/audit/digits.csv
    python -m experiments.audit cifar10 features.npz docs/results/audit/cifar10.csv NOISE=FILE ...

A row for each score: area under the ROC curve, average precision, precision at the true number of
wrong labels, and F1 of what is flagged. Needs the extra `benchmark`. `cifar10` works on frozen
features of images, see `experiments.image_features`; FILE is an .npz or .npy with `label`, in the
order of TFDS's ids. Repeats no row that the CSV file has.
"""

import pathlib
import sys

import cleanlab.filter
import cleanlab.rank
import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf

import mentormix_tf as mm
from mentormix_tf import files, networks
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples
from mentormix_tf.training.run import run

DIGITS = [
    ("symmetric", 0.4),
    ("asymmetric", 0.3),
    ("symmetric", 0.2),
    ("symmetric", 0.6),
    ("symmetric", 0.0),
]
SEEDS = (0, 1, 2)
BESIDE_CLEANLAB = (
    0.4,
    0.3,
)  # levels at which cleanlab is run for all seeds, not for the first alone
FOLDS = 5
ASYMMETRIC = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}  # CIFAR-10's usual pairs


def measured(wrong, quality, flagged=None):
    """The metrics of a score, low = suspicious, and of what it flags."""
    lowest = np.argsort(quality, kind="stable")[: wrong.sum()]
    row = {
        "auroc": sklearn.metrics.roc_auc_score(wrong, -quality),
        "average_precision": sklearn.metrics.average_precision_score(wrong, -quality),
        "precision_at_k": wrong[lowest].mean(),
        "f1": None if flagged is None else sklearn.metrics.f1_score(wrong, flagged),
    }
    return {name: None if v is None else round(float(v), 4) for name, v in row.items()}


def rows_of(audit, wrong):
    """A row for each score of an audit, and for the combined one with the estimated noise rate."""
    scores = ("training_score", "self_confidence", "feature_score")
    extra = {"mean margin, first half": audit.columns.get("early_margin")}
    extra |= {name: audit.columns.get(name) for name in scores}
    found = [
        {"score": name, **measured(wrong, values)}
        for name, values in extra.items()
        if values is not None
    ]
    low, high = audit.noise_rate.interval
    rate = {"estimated": audit.noise_rate.rate, "low": low, "high": high}
    combined = {
        "score": "label_quality",
        **measured(wrong, audit.label_quality, audit.is_label_issue),
        **{name: round(value, 4) for name, value in rate.items()},
    }
    return [*found, combined]


def cleanlab_rows(wrong, labels, probabilities):
    """What cleanlab makes of cross-validated probabilities."""
    flagged = cleanlab.filter.find_label_issues(labels, probabilities)
    return [
        {
            "score": f"cleanlab, {method}",
            **measured(
                wrong,
                cleanlab.rank.get_label_quality_scores(labels, probabilities, method=method),
                flagged,
            ),
        }
        for method in ("self_confidence", "normalized_margin")
    ]


def cross_validated(build, images, labels, seed, steps, learning_rate):
    """Probabilities of networks that were trained plainly on the other folds."""
    fold = np.random.RandomState([seed, 7]).permutation(len(labels)) % FOLDS
    probabilities = np.zeros((len(labels), labels.max() + 1), np.float32)
    for i in range(FOLDS):
        keras.utils.set_random_seed(seed)
        model = mm.Vanilla(build(), num_classes=labels.max() + 1, seed=seed)
        fit(model, images[fold != i], labels[fold != i], seed, steps, learning_rate)
        logits = model.network.predict(images[fold == i], verbose=0)
        probabilities[fold == i] = tf.nn.softmax(logits)
    return probabilities


def fit(model, images, labels, seed, steps, learning_rate):
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9))
    columns = {"image": images, "label": labels, "index": np.arange(len(labels))}
    data = tf.data.Dataset.from_tensor_slices(columns).shuffle(len(labels), seed=seed)
    data = data.batch(128, drop_remainder=True).repeat()
    model.fit(data, steps_per_epoch=steps, verbose=0)


def digits(folder, path):
    for kind, level in DIGITS:
        for seed in SEEDS:
            facts = {"noise": kind, "level": level, "seed": seed}
            if done(path, facts):
                continue
            data = DataConfig(noise=kind, noise_level=level, noise_seed=seed)
            split = mm.load_split("digits", noise=kind, noise_level=level, noise_seed=seed)
            stored = list(examples.stored(split, "train").as_numpy_iterator())
            labels, true = (np.array([e[name] for e in stored]) for name in ("label", "true_label"))
            wrong = labels != true
            facts["wrong"], rows = round(wrong.mean(), 4), []
            for method in ("mentormix", "vanilla"):
                model_dir = f"{folder}/{method}-{kind}-{level}-{seed}"
                chosen = {"gamma_p": "auto"} if method == "mentormix" else {}
                training = TrainingConfig(seed=seed, audit=True)
                result = run(RunConfig(data, training, method, chosen), OutputConfig(model_dir))
                own = {"method": method, "test_accuracy": round(result["final_accuracy"], 4)}
                for features in ("none", "penultimate", "convolution"):
                    audit = mm.open_run(model_dir).audit(features)
                    found = rows_of(audit, wrong) if wrong.any() else rate_only(audit)
                    rows += [{**facts, **own, "features": features, **row} for row in found]
            if wrong.any() and (seed == 0 or level in BESIDE_CLEANLAB):  # five trainings more
                images = np.stack([tf.io.decode_png(e["image"]).numpy() for e in stored])
                probabilities = cross_validated(
                    lambda shape=images.shape[1:]: networks.build("small_cnn", shape, 10),
                    images.astype(np.float32),
                    labels,
                    seed,
                    steps=600,
                    learning_rate=0.1,
                )
                own = {"method": "vanilla, 5-fold", "features": ""}
                found = cleanlab_rows(wrong, labels, probabilities)
                rows += [{**facts, **own, **row} for row in found]
            add(path, rows)


def head(size):
    stack = [keras.layers.Input((size,)), keras.layers.Dense(256, use_bias=False)]
    stack += [keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.Dense(10)]
    return keras.Sequential(stack)


def cifar10_labels(true, noise, seed):
    """Labels by the name of a noise: symmetric=0.4, asymmetric=0.3, or NAME=FILE[:KEY]."""
    kind, _, value = noise.partition("=")
    random = np.random.RandomState(seed)
    if kind == "symmetric":
        wrong = random.uniform(size=len(true)) < float(value)
        return np.where(wrong, (true + random.randint(1, 10, size=len(true))) % 10, true)
    if kind == "asymmetric":
        wrong = random.uniform(size=len(true)) < float(value)
        turned = np.array([ASYMMETRIC.get(label, label) for label in true])
        return np.where(wrong, turned, true)
    name, _, key = value.partition(":")
    return np.load(name)[key or "label"].astype(np.int64)


def cifar10(features, path, noises, epochs=10, learning_rate=0.05):
    stored = np.load(features)
    images, true = stored["train_features"].astype(np.float32), stored["train_label"]
    test, test_label = stored["test_features"].astype(np.float32), stored["test_label"]
    mean, scale = images.mean(axis=0), images.std(axis=0) + 1e-6
    images, test = (images - mean) / scale, (test - mean) / scale
    for seed in SEEDS:
        for noise in noises:
            facts = {"noise": noise.partition("=")[0], "level": noise, "seed": seed}
            facts["level"] = noise if "." in noise and "/" not in noise else ""
            if done(path, facts):
                continue
            labels = cifar10_labels(true, noise, seed)
            wrong, steps = labels != true, epochs * (len(labels) // 128)
            facts["wrong"] = round(wrong.mean(), 4)
            keras.utils.set_random_seed(seed)
            model = mm.MentorMix(
                head(images.shape[1]), 10, gamma_p="auto", alpha=2.0, seed=seed,
                audit_examples=len(labels),
            )  # fmt: skip
            fit(model, images, labels, seed, steps, learning_rate)
            accuracy = np.mean(model.network.predict(test, verbose=0).argmax(axis=1) == test_label)
            own = {"method": "mentormix", "test_accuracy": round(float(accuracy), 4)}
            rows = []
            for layer in ("none", "penultimate"):
                audit = mm.audit(model, images, labels, features=layer)
                found = rows_of(audit, wrong) if wrong.any() else rate_only(audit)
                rows += [{**facts, **own, "features": layer, **row} for row in found]
            if "/" in noise:  # labels from a file; those made here are for the noise rate alone
                probabilities = cross_validated(
                    lambda: head(images.shape[1]), images, labels, seed, steps, learning_rate
                )
                own = {"method": "vanilla, 5-fold", "features": "", "test_accuracy": None}
                found = cleanlab_rows(wrong, labels, probabilities)
                rows += [{**facts, **own, **row} for row in found]
            add(path, rows)


def rate_only(audit):
    low, high = audit.noise_rate.interval
    nothing = dict.fromkeys(("auroc", "average_precision", "precision_at_k", "f1"))
    rate = {"estimated": audit.noise_rate.rate, "low": low, "high": high}
    return [{"score": "label_quality", **nothing, **{k: round(v, 4) for k, v in rate.items()}}]


COLUMNS = (
    *("noise", "level", "seed", "wrong", "method", "test_accuracy", "features", "score"),
    *("auroc", "average_precision", "precision_at_k", "f1", "estimated", "low", "high"),
)


def add(path, rows):
    """Adds rows to the CSV file, and prints them."""
    there = files.read_csv(path) if pathlib.Path(path).exists() else []
    rows = [{name: row.get(name) for name in COLUMNS} for row in rows]
    for row in rows:
        print(*(value for value in row.values() if value is not None), flush=True)
    files.write_csv(path, [*there, *rows])


def done(path, facts):
    """Whether the CSV file has rows of these labels."""
    if not pathlib.Path(path).exists():
        return False
    return any(all(r[k] == str(v) for k, v in facts.items()) for r in files.read_csv(path))


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "digits":
        digits(*arguments)
    else:
        cifar10(*arguments[:2], arguments[2:])

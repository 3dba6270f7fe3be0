r"""Trains on a GPU with JAX, on CIFAR-10, by the steps that `experiments.gpu_steps` has lowered.

    python -m experiments.gpu_runs STEPS PIXELS.npz RESULTS SECONDS

STEPS is the folder of the lowered steps. PIXELS.npz has `train` and `test`, uint8, in the order of
TFDS's ids, and the test labels, `test_label`. Writes RESULTS/runs.csv and RESULTS/curves.csv, a run
at a time, and begins none once SECONDS have passed.
"""

# JAX is not needed where TensorFlow is.
# pyright: reportMissingImports=false

import concurrent.futures
import csv
import pathlib
import sys
import time

import numpy as np

from benchmarks.step_on_gpu import Step, compiled

LEVELS = {"0.2": 0.8, "0.4": 0.6, "0.6": 0.4, "0.8": 0.2}  # noise: share of right labels
# The released settings of MentorMix, and MentorNet's.
RELEASED = {
    "0.2": ("mentormix_2", 0.8, 0.75),
    "0.4": ("mentormix_8", 0.6, 0.75),
    "0.6": ("mentormix_8_second", 0.6, 0.75),
    "0.8": ("mentormix_4_second", 0.2, 0.5),
}
SEED = 0
VALIDATION = 1000  # noisy examples by which the learning rates of fine-tuning are chosen


def from_scratch(labels, name, level, methods=None):
    """The runs of Table 3 at one level: (study, method, step, labels, settings)."""
    step, gamma_p, of_mentornet = RELEASED[level]
    chosen = {
        "vanilla": ("vanilla", {}),
        "mixup": ("mixup", {}),
        "mentornet": ("mentornet", {"gamma_p": of_mentornet}),
        "mentormix": (step, {"gamma_p": gamma_p}),
        "mentormix, auto": ("mentormix_auto", {}),
    }
    return [
        {"study": "scratch", "noise": name, "labels": labels, "method": method}
        | {"step": f"scratch-{step}", "settings": settings}
        for method, (step, settings) in chosen.items()
        if methods is None or method in methods
    ]


def fine_tuned(level, method, rate, trial=False):
    settings = {"learning_rate": rate}
    if method in ("mentornet", "mentormix"):
        settings["gamma_p"] = LEVELS[level]
    job = {"study": "fine-tuned", "noise": level, "labels": f"symmetric_{level}", "method": method}
    return job | {"step": f"tuned-{method}", "settings": settings, "part": 10_000, "trial": trial}


def photos(method, frozen, rate, ratio=1.0, then=None):
    settings = {"learning_rate": rate, "ratio": ratio}
    if method == "mentormix":
        settings["gamma_p"] = 0.6
    prefix = "photos_frozen" if frozen else "photos"
    job = {"study": "photos", "noise": "0.4", "labels": "symmetric_0.4", "method": method}
    job |= {"step": f"{prefix}-{method}", "settings": settings, "part": 1500, "every": 100}
    return job | ({"then": then, "every": 200} if then else {})


def jobs():
    """All runs, the most wanted first."""
    found = from_scratch("symmetric_0.4", "0.4", "0.4")
    found += from_scratch("symmetric_0.8", "0.8", "0.8")
    for method in ("vanilla", "mentormix"):  # the second phase: a head first, then all layers
        for frozen in (True, False):
            for rate, ratio in ((0.01, 0.1), (0.003, 1.0)):
                second = photos(method, frozen, rate, ratio)
                found.append(photos(method, True, 0.01, 0.0, then=second))
    for method in ("vanilla", "mixup", "mentornet", "mentormix"):
        for rate in (0.03, 0.01):
            found.append(fine_tuned("0.4", method, rate, trial=True))
    for level in LEVELS:
        found += [
            fine_tuned(level, m, None) for m in ("vanilla", "mixup", "mentornet", "mentormix")
        ]
    found += from_scratch("symmetric_0.2", "0.2", "0.2")
    found += from_scratch("symmetric_0.6", "0.6", "0.6")
    found += from_scratch("worse_label", "human worst", "0.4")
    found += from_scratch("label", "0", "0.2", ["vanilla"])
    found += from_scratch("aggre_label", "human aggregate", "0.2", ["vanilla", "mentormix, auto"])
    return found


class Images:
    """CIFAR-10 on the device, and batches of it: cropped and flipped at random, and enlarged."""

    def __init__(self, pixels, labels):
        import jax
        import jax.numpy as jnp

        self.train, self.test = (jax.device_put(pixels[name]) for name in ("train", "test"))
        self.test_label = np.asarray(pixels["test_label"], np.int64)
        self.labels = {name: np.asarray(value, np.int64) for name, value in labels.items()}

        def crop(image, draw):
            padded = jnp.pad(image, ((4, 4), (4, 4), (0, 0)))
            image = jax.lax.dynamic_slice(padded, (draw[0], draw[1], 0), (32, 32, 3))
            return jnp.where(draw[2] < 4, image, image[:, ::-1])

        def shown(images, size):
            images = images.astype(jnp.float32)
            if size != 32:
                shape = (*images.shape[:1], size, size, 3)
                images = jax.image.resize(images, shape, "bicubic")
            return images

        self.batch = jax.jit(
            lambda train, at, draws, size: shown(jax.vmap(crop)(train[at], draws), size),
            static_argnums=3,
        )
        self.tests = jax.jit(shown, static_argnums=1)


class Trainer:
    """Trains by lowered steps, which are compiled once each, several at a time.

    Args:
        folder: the folder of the steps.
        images: `Images`.
        device: JAX's device.
    """

    def __init__(self, folder, images, device):
        self.folder, self.images, self.device = folder, images, device
        self.backbone = dict(np.load(folder / "backbone.npz"))
        self._pool = concurrent.futures.ThreadPoolExecutor(6)
        self._steps = {}

    def prepare(self, name):
        """Begins to compile a step, if nothing has."""
        if name not in self._steps:
            self._steps[name] = self._pool.submit(self._compile, name)
        return self._steps[name]

    def _compile(self, name):
        path = self.folder / name
        step = Step(path, self.device)
        test = path.with_name(f"{name}-test").with_suffix(".mlir").read_text()
        test = compiled(test, self.device)
        print(f"{name}: compiled in {step.compiled_in:.0f} s", flush=True)
        return step, test

    def initial(self, name):
        """What is known of a step, and its variables as they are before training."""
        facts = dict(np.load(self.folder / f"{name}.npz"))
        random, values = np.random.RandomState(SEED), []
        network = {int(at): i for i, at in enumerate(facts["network"])}
        for i in range(int(facts["variables"])):
            value = facts.get(f"{i:04}")
            if value is None:
                value = self.backbone[f"{network[i]:04}"]
            elif value.dtype == np.float64 and value.shape == (5,):  # a shape and a deviation
                shape = value[:4].astype(int)
                value = random.normal(scale=value[4], size=shape).astype(np.float32)
            values.append(value)
        return facts, values

    def run(self, job, network=None):
        """Trains from the weights of `network`, if any; yields each evaluation's accuracies."""
        import jax

        step, test = self.prepare(job["step"]).result()
        facts, values = self.initial(job["step"])
        if network is not None:
            for at, value in zip(facts["network"], network, strict=True):
                values[at] = value
        for name, value in job["settings"].items():
            values[int(facts[f"at_{name}"])] = np.float32(value)
        step.variables = [jax.device_put(value, self.device) for value in values]
        labels, truth = self.images.labels[job["labels"]], self.images.labels["label"]
        part = job.get("part", len(labels))
        chosen = np.random.RandomState(1).permutation(len(labels))[:part]
        held = chosen[:VALIDATION] if job.get("trial") else chosen[:0]
        chosen = chosen[len(held) :]
        size, steps = int(facts["batch_size"]), int(facts["steps"])
        shown, every = int(facts["image_size"]), job.get("every", int(facts["eval_every"]))
        order, epoch = np.empty(0, int), 0
        for i in range(1, steps + 1):
            if len(order) < size:
                order = np.random.RandomState([SEED, epoch]).permutation(len(chosen))
                epoch += 1
            at, order = chosen[order[:size]], order[size:]
            draws = np.random.RandomState([SEED, 1, i]).randint(0, [9, 9, 8], size=(size, 3))
            image = self.images.batch(self.images.train, at, draws, shown)
            is_clean = (labels[at] == truth[at]).astype(np.int64)
            logs = step([image, *(jax.device_put(each) for each in (is_clean, labels[at]))])
            if i % every == 0 or i == steps:
                weights = [step.variables[at] for at in facts["test"]]
                row = {"step": i, "test_accuracy": self.accuracy(test, weights, shown)}
                if len(held):
                    row["validation_accuracy"] = self.accuracy(test, weights, shown, held, labels)
                row |= {
                    k: float(v) for k, v in logs.items() if "v_" in k or k in ("loss", "gamma_p")
                }
                yield row
        self.network = [np.asarray(step.variables[at]) for at in facts["network"]]

    def accuracy(self, test, weights, size, held=None, labels=None):
        images, truth = self.images.test, self.images.test_label
        if held is not None:
            images, truth = self.images.train[held], labels[held]
        found = []
        for i in range(0, len(truth), 500):
            shown = self.images.tests(images[i : i + 500], size)
            results = test.execute_sharded([shown, *weights])
            found.append(results.disassemble_into_single_device_arrays()[0][0])
        found = np.concatenate([np.argmax(np.asarray(f), axis=-1) for f in found])
        return float(np.mean(found == truth))


def main(folder, pixels, results, seconds):
    import jax

    jax.config.update("jax_enable_x64", True)
    started, device = time.perf_counter(), jax.devices()[0]
    folder, results = pathlib.Path(folder), pathlib.Path(results)
    results.mkdir(parents=True, exist_ok=True)
    print(f"jax {jax.__version__} on {device.device_kind}, {time.strftime('%Y-%m-%d')}", flush=True)
    todo = jobs()
    trainer = Trainer(folder, None, device)
    for job in todo:
        trainer.prepare(job["step"])
    while not pathlib.Path(pixels).exists():
        time.sleep(0.5)
    trainer.images = Images(np.load(pixels), np.load(folder / "labels.npz"))
    rates = {}
    with open(results / "runs.csv", "w") as runs, open(results / "curves.csv", "w") as curves:
        for number, job in enumerate(todo):
            if time.perf_counter() - started > float(seconds):
                break
            if job["step"].startswith("tuned") and not job["trial"]:
                job["settings"]["learning_rate"] = max(rates[job["method"]])[1]
            parts, network = [job, *([job["then"]] if "then" in job else [])], None
            for phase, each in enumerate(parts):
                begun = time.perf_counter()
                rows = list(trainer.run(each, network))
                network = trainer.network
                facts = {"run": number, "phase": phase} | {k: each[k] for k in ("study", "noise")}
                facts |= {"method": each["method"], "trial": int(bool(each.get("trial")))}
                facts |= {"program": each["step"], "settings": str(each["settings"])}
                last = {k: round(v, 4) for k, v in rows[-1].items()}
                peak = max(row["test_accuracy"] for row in rows)
                took = round(time.perf_counter() - begun, 1)
                write(runs, {**facts, "peak": round(peak, 4), "seconds": took, "last": str(last)})
                for row in rows:
                    known = {k: f"{v:.4g}" for k, v in row.items()}
                    for name in ("step", "test_accuracy", "validation_accuracy"):
                        known[name] = row.get(name, "")
                    first = ("step", "test_accuracy", "validation_accuracy")
                    more = {k: v for k, v in known.items() if k not in first}
                    write(
                        curves,
                        {"run": number, "phase": phase}
                        | {k: known[k] for k in first}
                        | {"more": str(more)},
                    )
                print(number, phase, *facts.values(), last["test_accuracy"], peak, took, flush=True)
                if each.get("trial"):
                    accuracy = rows[-1]["validation_accuracy"]
                    rates.setdefault(each["method"], []).append(
                        (accuracy, each["settings"]["learning_rate"])
                    )
    print("done", round(time.perf_counter() - started), flush=True)


def write(file, row):
    """Appends a row to a CSV file, with the header before the first."""
    writer = csv.DictWriter(file, row.keys(), lineterminator="\n")
    if not file.tell():
        writer.writeheader()
    writer.writerow(row)
    file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Makes the tables of docs/results/audit/README.md from its CSV files.

python -m experiments.audit_tables docs/results/audit
"""

import collections
import pathlib
import statistics
import sys

from mentormix_tf import files

METRICS = ("auroc", "average_precision", "precision_at_k", "f1")
# Published for the files of confident learning, from their authors' own probabilities, 4-fold.
PUBLISHED = {
    "zeros_0.0_noise_0.2": (".953", ".825", ".750", ".781"),
    "zeros_0.0_noise_0.4": (".924", ".857", ".809", ".842"),
    "zeros_0.6_noise_0.4": (".874", ".682", ".662", ".783"),
}


def mean(values):
    """The mean and, of several values, the standard deviation; "" without values."""
    numbers = [float(value) for value in values if value]
    if not numbers:
        return ""
    spread = f" ± {statistics.stdev(numbers):.3f}" if len(numbers) > 1 else ""
    return f"{statistics.mean(numbers):.3f}{spread}"


def scores(path):
    """A row for each noise and score: means over seeds."""
    groups = collections.defaultdict(list)
    for row in files.read_csv(path):
        if row["auroc"]:
            key = row["noise"], row["level"], row["method"], row["features"], row["score"]
            groups[key].append(row)
    print("| noise | trained | features | score | seeds | AUROC | AP | P@k | F1 |")
    print("|---|---|---|---|---|---|---|---|---|")
    seen = set()
    for (noise, level, method, features, score), rows in groups.items():
        shown = features if score in ("label_quality", "self_confidence", "feature_score") else ""
        name = f"{noise} {level.rpartition('=')[2]}".strip()
        if (name, method, shown, score) in seen:  # what training recorded, whatever the features
            continue
        seen.add((name, method, shown, score))
        cells = [mean([row[metric] for row in rows]) for metric in METRICS]
        print(f"| {name} | {method} | {shown} | {score} | {len(rows)} | {' | '.join(cells)} |")
        if score == "cleanlab, normalized_margin" and noise in PUBLISHED:
            cells = " | ".join(PUBLISHED[noise])
            print(f"| {name} | published: ResNet-50, 4-fold | | confident learning | | {cells} |")


def rates(path):
    """The noise rates that audits of MentorMix estimated, beside the true ones."""
    groups = collections.defaultdict(dict)
    for row in files.read_csv(path):
        if row["score"] == "label_quality" and row["method"] == "mentormix":
            name = f"{row['noise']} {row['level'].rpartition('=')[2]}".strip()
            groups[name, row["seed"]][row["features"]] = row
    print("| noise | seed | wrong | estimated | 95 % interval | with features | accuracy |")
    print("|---|---|---|---|---|---|---|")
    for (name, seed), rows in groups.items():
        row, with_features = rows["none"], rows["penultimate"]["estimated"]
        wrong, estimated, low, high = (
            f"{float(row[key]):.1%}" for key in ("wrong", "estimated", "low", "high")
        )
        cells = [name, seed, wrong, estimated, f"{low} to {high}", f"{float(with_features):.1%}"]
        print(f"| {' | '.join([*cells, row['test_accuracy']])} |")


def loop(path):
    """Accuracies after a review of a share of the labels."""
    groups = collections.defaultdict(list)
    for row in files.read_csv(path):
        groups[row["reviewed"], row["which"]].append(row)
    print("| reviewed | which | wrong labels found | accuracy of MentorMix | plain training |")
    print("|---|---|---|---|---|")
    for (share, which), rows in groups.items():
        found = [int(row["wrong_labels_found"] or 0) for row in rows]
        cells = [f"{statistics.mean(found):.0f}"]
        cells += [mean([row[name] for row in rows]) for name in ("mentormix", "vanilla")]
        print(f"| {float(share):.0%} | {which} | {' | '.join(cells)} |")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    for name in ("digits.csv", "cifar10.csv"):
        if (folder / name).exists():
            print(f"\n### {name}\n")
            scores(folder / name)
            print()
            rates(folder / name)
    if (folder / "loop.csv").exists():
        print("\n### loop.csv\n")
        loop(folder / "loop.csv")

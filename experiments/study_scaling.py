"""How the time of a study falls with the nodes of a Ray cluster, each with one CPU of this machine.

    python -m experiments.study_scaling runs/scaling docs/results/studies 3

Clusters of one and of two nodes take turns with the same study of eight runs; the head node trains
nothing. TensorFlow uses one thread a run, so that a node has no more than its CPU. Writes
scaling.csv and scaling.png.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

from matplotlib.figure import Figure

from mentormix_tf import files

NODES = (1, 2)
STUDY = """
training: {train_steps: 600, eval_every: 100}
data: {dataset: digits, noise_level: [0.2, 0.4], data_dir: data}
methods: {vanilla: , mixup: , mentornet: , mentormix: }
"""
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def seconds(folder: pathlib.Path, name: str, nodes: int) -> float:
    """Trains the study on a cluster of so many nodes; returns how long the command took."""
    from ray.cluster_utils import Cluster

    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            cluster.add_node(**NODE)
        flags = ["--executor=ray", f"--ray_address={cluster.address}", f"--study_dir={name}"]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "mentormix_tf.study", "grid.yaml", *flags],
            cwd=folder,
            check=True,
        )
        return time.perf_counter() - start
    finally:
        cluster.shutdown()


def draw(rows: list[dict], path: pathlib.Path) -> None:
    """Draws how many times faster than one node each turn is."""
    one = statistics.median(row["seconds"] for row in rows if row["nodes"] == 1)
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    nodes = [row["nodes"] for row in rows]
    axes.plot(nodes, [one / row["seconds"] for row in rows], "o", label="measured")
    axes.plot([0, max(NODES)], [0, max(NODES)], color="gray", lw=1, label="ideal")
    axes.set(xlabel="nodes of one CPU", ylabel="times as fast as one node", xticks=NODES)
    axes.legend()
    figure.savefig(path, dpi=120)


def main(folder: str, results: str, turns: str = "3") -> None:
    """Measures, and writes scaling.csv and scaling.png."""
    os.environ.update(
        TF_NUM_INTRAOP_THREADS="1",
        TF_NUM_INTEROP_THREADS="1",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_worker_niceness="0",
        PYTHONPATH=os.getcwd(),
    )
    work, output, rows = pathlib.Path(folder), pathlib.Path(results), []
    work.mkdir(parents=True)
    output.mkdir(parents=True, exist_ok=True)
    (work / "grid.yaml").write_text(STUDY)
    for turn in range(int(turns)):
        for nodes in NODES:
            taken = seconds(work, f"{nodes}_nodes_{turn}", nodes)
            rows.append({"nodes": nodes, "turn": turn, "runs": 8, "seconds": round(taken, 1)})
            files.write_csv(output / "scaling.csv", rows)
    draw(rows, output / "scaling.png")


if __name__ == "__main__":
    main(*sys.argv[1:])

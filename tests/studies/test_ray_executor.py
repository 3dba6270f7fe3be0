"""Studies on a Ray cluster: the same results as here, whatever dies, and what is refused."""

import contextlib
import csv
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.studies import ray_cluster, ray_executor, ray_worker, results
from mentormix_tf.study import StudyConfig
from tests.support import commands

SHORT = """
training: {train_steps: 6, eval_every: 3, batch_size: 32}
data: {dataset: digits, noise_level: 0.2, train_examples: 200, data_dir: data}
methods: {vanilla: , mixup: }
"""
LONG = """
training: {train_steps: 60, eval_every: 3, batch_size: 32}
data: {dataset: digits, noise_level: [0.2, 0.4, 0.6], data_dir: data}
methods: {vanilla: , mixup: , mentornet: , mentormix: }
seeds: [0, 1]
"""
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


class Cluster:
    """A Ray cluster of this machine, of which only its own processes are ended."""

    def __init__(self, nodes, **head):
        from ray.cluster_utils import Cluster

        arguments = {**NODE, "include_dashboard": False, **head}
        self._cluster = patiently(lambda: Cluster(True, head_node_args=arguments))
        self.address = self._cluster.address
        self.nodes = [self.add() for _ in range(nodes)]

    def add(self, **arguments):
        return patiently(lambda: self._cluster.add_node(**{**NODE, **arguments}))

    def processes(self, node=None):
        """The processes of a node, by default of the head, and all that they started."""
        found = []
        for infos in (node or self._cluster.head_node).all_processes.values():
            for info in infos:
                try:
                    process = psutil.Process(info.process.pid)
                    found += [process, *process.children(recursive=True)]
                except psutil.NoSuchProcess:
                    continue
        return found

    def kill(self, node=None):
        """Has a node die, by default the head: everything on it, at once."""
        for process in self.processes(node):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def close(self):
        for node in (None, *self.nodes):
            self.kill(node)
        self._cluster.shutdown()


def patiently(start_node):
    """Starts a node, for which Ray waits 30 seconds, which a busy machine may need."""
    for _ in range(4):
        with contextlib.suppress(Exception):
            return start_node()
    return start_node()


@pytest.fixture(scope="module")
def environment():
    """The environment of clusters and studies: the code under test, and nothing sent anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(commands.ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        yield


@pytest.fixture(scope="module")
def one_node(environment):
    """A cluster of one node with two CPUs."""
    pytest.importorskip("ray", reason="needs the extra ray")
    cluster = Cluster(0, num_cpus=2)
    yield cluster
    cluster.close()


@pytest.fixture
def three_nodes(environment):
    """A cluster of three nodes with a CPU each."""
    pytest.importorskip("ray", reason="needs the extra ray")
    cluster = Cluster(2)
    yield cluster
    cluster.close()


def start(folder, text, study_dir, *flags):
    (folder / "grid.yaml").write_text(text)
    command = ["mentormix_tf.study", "grid.yaml", f"--study_dir={study_dir}", *flags]
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on_ray(cluster):
    return "--executor=ray", f"--ray_address={cluster.address}"


def finish(study, status=0):
    output, errors = study.communicate(timeout=1800)
    assert study.returncode == status, errors
    assert "Traceback" not in errors
    return output + errors


def table(folder, name):
    rows = list(csv.DictReader((folder / name).open()))
    return [{k: text for k, text in row.items() if k != "images_per_second"} for row in rows]


def assert_same(folder, other):
    for name in (results.RUNS, results.CURVES):
        assert table(folder, name) == table(other, name)


def wait_until(is_so):
    for _ in range(9000):
        if found := is_so():
            return found
        time.sleep(0.1)
    raise AssertionError("timed out")


def runs_under_way(folder):
    """The folders of runs with a checkpoint that are far from their end."""
    begun = {path.parents[1] for path in folder.glob("runs/*/*/*/checkpoints/*.index")}
    return [path for path in begun if len((path / "metrics.csv").read_text().splitlines()) < 10]


def is_on(cluster, node, run):
    """Whether a node trains a run, by whose log is open there."""
    for process in cluster.processes(node):
        try:
            if any(pathlib.Path(each.path).parent == run for each in process.open_files()):
                return True
        except psutil.Error:
            continue
    return False


def test_a_study_ends_as_here(one_node, tmp_path):
    finish(start(tmp_path, SHORT, "here"))
    said = finish(start(tmp_path, SHORT, "there", *on_ray(one_node), "--cpus_per_run=0.5"))
    assert "2/2 runs/digits-symmetric-0.2-train200/" in said
    assert_same(tmp_path / "here", tmp_path / "there")
    for run in tmp_path.glob("there/runs/*/*/seed0"):
        assert "step 6/6" in (run / "log.txt").read_text()
        assert not (run / ray_worker.CLAIM).exists()
    assert not list(tmp_path.glob("there/.token*"))


def test_what_a_cluster_refuses(one_node, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with ray_cluster.connected(one_node.address), ray_cluster.driver(tmp_path) as here:
        nodes = ray_cluster.nodes_for(one_node.address, {"CPU": 2})
        ray_cluster.check_nodes(here, nodes)
        with pytest.raises(InputError, match=r"gpus_per_run=1 is more than any node .* which is 0"):
            ray_cluster.nodes_for(one_node.address, {"CPU": 1, "GPU": 1})
        with pytest.raises(InputError, match="cpus_per_run=3 is more than any node"):
            ray_cluster.nodes_for(one_node.address, {"CPU": 3})
        os.remove(here.token)  # as where the folder is another one
        with pytest.raises(InputError, match=r"study_dir=.* is not the same folder on the node"):
            ray_cluster.check_nodes(here, nodes)


@pytest.mark.slow
def test_nodes_with_other_kernels_are_refused(three_nodes, tmp_path):
    three_nodes.nodes.append(three_nodes.add(env_vars={"TF_ENABLE_ONEDNN_OPTS": "0"}))
    said = finish(start(tmp_path, SHORT, "study", *on_ray(three_nodes)), 1)
    assert "has TF_ENABLE_ONEDNN_OPTS=0, but this command 1: use the same" in said
    assert not list(tmp_path.glob("study/*"))


@pytest.mark.slow
def test_24_runs_end_the_same_whatever_dies(three_nodes, tmp_path):
    finish(start(tmp_path, LONG, "here", "--jobs=2"))
    there = tmp_path / "there"
    study = start(tmp_path, LONG, "there", *on_ray(three_nodes))
    killed, victim = wait_until(
        lambda: [
            (run, node)
            for run in runs_under_way(there)
            for node in three_nodes.nodes
            if is_on(three_nodes, node, run)
        ]
    )[0]
    three_nodes.kill(victim)
    three_nodes.nodes.append(three_nodes.add())
    wait_until((killed / "result.json").exists)
    assert "Continuing from step" in (killed / "log.txt").read_text()

    wait_until(lambda: runs_under_way(there))
    study.send_signal(signal.SIGTERM)
    assert "as requested: run the same command again to resume" in finish(study, 143)

    study = start(tmp_path, LONG, "there", *on_ray(three_nodes))
    wait_until(lambda: runs_under_way(there))
    study.kill()
    study.communicate()

    finish(start(tmp_path, LONG, "there", *on_ray(three_nodes)))
    assert len(table(there, results.RUNS)) == 24
    assert_same(tmp_path / "here", there)


@pytest.mark.slow
def test_a_study_outlives_a_dead_head(environment, tmp_path):
    pytest.importorskip("ray", reason="needs the extra ray")
    cluster = Cluster(1, num_cpus=0)
    try:
        study = start(tmp_path, LONG, "study", *on_ray(cluster))
        wait_until(lambda: runs_under_way(tmp_path / "study"))
        cluster.kill()
        said = finish(study, 1)
        assert "no longer answers" in said and "same command" in said
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ray_address": "auto:1"}, "can't be set with executor=local"),
        ({"cpus_per_run": 2.0}, "cpus_per_run=2.0 can't be set with executor=local"),
        ({"gpus_per_run": 0.5}, "gpus_per_run=0.5 can't be set with executor=local"),
        ({"executor": "ray", "jobs": 2}, "jobs=2 can't be set with executor=ray"),
        ({"executor": "ray", "cpus_per_run": 0.0}, "must be at least 0.0001"),
        ({"executor": "ray", "cpus_per_run": float("nan")}, "must be at least 0.0001"),
        ({"executor": "ray", "gpus_per_run": 1.5}, "or a whole number"),
        ({"executor": "ray", "gpus_per_run": -1.0}, "or a whole number"),
        ({"executor": "ray", "gpus_per_run": float("inf")}, "or a whole number"),
    ],
)
def test_settings_that_contradict_each_other(settings, message):
    with pytest.raises(InputError, match=message):
        StudyConfig(**settings)


def test_an_address_without_a_cluster(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    pytest.importorskip("ray", reason="needs the extra ray")
    for wrong, message in ((address, "no Ray cluster answers"), ("here", "must be auto, or HOST")):
        with pytest.raises(InputError, match=message), ray_cluster.connected(wrong):
            pass


def test_a_head_that_no_longer_answers_ends_the_study(monkeypatch):
    pytest.importorskip("ray", reason="needs the extra ray")
    executor, now = ray_executor.RayExecutor("auto", 1, 0), [10.0]
    monkeypatch.setattr(ray_cluster, "answers", lambda address: False)
    monkeypatch.setattr(ray_executor.time, "monotonic", lambda: now[0])
    assert executor.room() == 0
    now[0] = 30.0
    with pytest.raises(InputError, match=r"no longer answers: start .* the same command"):
        executor.room()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(InputError, match=r"needs Ray: pip install 'mentormix-tf\[ray\]'"),
        ray_cluster.connected("auto"),
    ):
        pass


def test_nodes_that_differ_are_refused_by_name(tmp_path):
    (tmp_path / "token").write_text("secret")
    driver = ray_worker.Driver(
        folder=str(tmp_path),
        study_dir="study",
        token=str(tmp_path / "token"),
        secret="secret",
        versions={**ray_worker.versions(), "keras": "2.0"},
    )
    with pytest.raises(InputError, match=r"node far has keras=3.*, but this command 2\.0"):
        ray_worker.check(driver, "far")


@pytest.mark.parametrize(
    ("needs", "count"),
    [({"CPU": 1}, 12), ({"CPU": 3}, 3), ({"CPU": 1, "GPU": 0.25}, 8), ({"CPU": 0.1, "GPU": 2}, 1)],
)
def test_how_many_runs_train_at_once(needs, count):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 64.0}},
    ]
    assert ray_cluster.runs_at_once(nodes, needs) == count


def test_an_attempt_loses_its_folder_to_the_next_one(tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(ray_worker.time, "sleep", slept.append)
    first, second = ray_worker.Claim(tmp_path), ray_worker.Claim(tmp_path)
    with first.held():
        assert not first.is_lost() and not slept
        with second.held():
            assert first.is_lost() and not second.is_lost()
            assert slept == [2 * ray_worker.SECONDS_BETWEEN_CLAIMS]
    assert not (tmp_path / ray_worker.CLAIM).exists()


def test_an_attempt_waits_for_a_process_that_is_saving(tmp_path):
    entered = threading.Event()

    def attempt():
        with ray_worker.Claim(tmp_path).held():
            entered.set()

    with files.lock(tmp_path, "busy"):
        thread = threading.Thread(target=attempt)
        thread.start()
        assert not entered.wait(0.5)
    thread.join()
    assert entered.is_set()

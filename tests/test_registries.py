"""Registries of noises, data sets and networks: light to import, complete, documented."""

import inspect
import pathlib
import pkgutil
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

import mentormix_tf
from mentormix_tf import InputError, networks
from mentormix_tf.config import DataConfig
from mentormix_tf.data import noise, sources, splits
from mentormix_tf.data.sources import cifar
from tests.support import doc_tables

IMPORT_ALONE = """
import sys, types
package = types.ModuleType("mentormix_tf")  # without the imports of the real one
package.__path__ = [sys.argv[1]]
sys.modules["mentormix_tf"] = package
from mentormix_tf import networks
from mentormix_tf.data import noise, sources
networks.check("resnet32")
sources.get("cifar10")
print(networks.names(), sources.names(), sources.noise_names())
heavy = {"tensorflow", "tensorflow_datasets", "keras", "sklearn"}
sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)
"""


def test_registries_import_without_tensorflow():
    folder = pathlib.Path(mentormix_tf.__file__).parent
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE, folder], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    for name in ("wide_resnet_28_10", "stanford_cars", "folder:PATH", "uniform", "human_worse"):
        assert name in ended.stdout


@pytest.mark.parametrize("name", sources.by_name())
def test_every_loader_is_there(name):
    loader = pkgutil.resolve_name(f"mentormix_tf.data.sources.{sources.by_name()[name].loader}")
    arguments = list(inspect.signature(loader).parameters)
    assert arguments == ["noise", "noise_level", "data_dir", "argument"]


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_every_builder_is_there(name):
    builder = pkgutil.resolve_name(f"mentormix_tf.networks.{networks.NETWORKS[name].builder}")
    assert list(inspect.signature(builder).parameters) == ["image_shape", "num_classes"]


def test_human_noises_match_those_of_the_loaders():
    assert list(sources.SOURCES["cifar10_n"].own_noises) == list(cifar.CIFAR10_N)
    assert list(sources.SOURCES["cifar100_n"].own_noises) == list(cifar.CIFAR100_N)


def test_no_own_noise_hides_a_synthetic_one():
    for entry in sources.by_name().values():
        assert not set(entry.own_noises) & set(noise.NOISES)


@pytest.fixture
def sevens(monkeypatch):
    """Registers a made-up kind of noise; returns a list of the inputs that it is called with."""
    calls = []

    def make(given):
        calls.append(given)
        return np.full_like(given.labels, 7)

    kind = noise.NoiseKind("all become 7", make, takes_level=True, takes_file=True)
    monkeypatch.setitem(noise.NOISES, "sevens", kind)
    return calls


def test_one_entry_makes_a_kind_of_noise(sevens, tmp_path):
    file = tmp_path / "how.csv"
    file.write_text("7\n")
    config = DataConfig(noise="sevens", noise_file=str(file), noise_seed=3, data_dir=str(tmp_path))
    made = splits.prepare(config)
    assert made.manifest["noise"] == "sevens" and made.manifest["noise_level"] == 0.4
    rows = list(tfds.builder_from_directory(made.path).as_dataset("train").as_numpy_iterator())
    assert {row["label"] for row in rows} == {7}
    assert {row["true_label"] for row in rows} == set(range(10))
    assert all(row["is_clean"] == (row["true_label"] == 7) for row in rows)
    [given] = sevens
    assert (given.noise_level, given.seed, given.noise_file) == (0.4, 3, str(file))
    assert given.num_classes == 10 and given.labels.shape == (1437,) and given.turns_into is None


def test_a_kind_of_noise_is_listed_everywhere(sevens, tmp_path):
    with pytest.raises(InputError, match=r"dataset=digits: choose one of symmetric, .*, sevens"):
        splits.resolve(DataConfig(noise="pink", data_dir=str(tmp_path)))
    with pytest.raises(InputError, match="noise=sevens needs a --noise_file"):
        splits.resolve(DataConfig(noise="sevens", data_dir=str(tmp_path)))
    assert "sevens" in noise.names() and "sevens" in sources.noise_names()
    assert "| `sevens` | all become 7 | yes |" in doc_tables.noises()


def test_docs_match_the_registries():
    outdated = [path.name for path in doc_tables.outdated()]
    assert not outdated, f"{outdated} differ: run python -m tests.support.doc_tables --write"
    text = "".join(path.read_text() for path in doc_tables.DOCS.glob("*.md"))
    assert set(re.findall(r"<!-- registry: (\w+) -->", text)) >= {"datasets", "noises", "networks"}


def test_tables_are_between_their_markers():
    text = "a\n<!-- registry: {} -->\nOUTDATED\n<!-- end -->\nb\n<!-- end -->\n"
    for name in doc_tables.TABLES:
        new = doc_tables.updated(text.format(name))
        assert new.startswith(f"a\n<!-- registry: {name} -->\n| ") and "OUTDATED" not in new
        assert new.endswith("|\n<!-- end -->\nb\n<!-- end -->\n")
        assert doc_tables.updated(new) == new
    assert "| `mentormix` | " in doc_tables.updated(text.format("methods"))

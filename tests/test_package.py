"""The package as it is installed: from a wheel, without TensorFlow, beside another backend."""

import ast
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import venv

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mentormix_tf.version import __version__

ROOT = pathlib.Path(__file__).parent.parent


def python(*arguments, executable=sys.executable, cwd=None, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KERAS_BACKEND")}
    return subprocess.run(
        [executable, *arguments],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )


def imported(path):
    """The top-level modules that a Python file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def files(folder):
    """The files in a folder, relative to it, without those that Python has compiled."""
    paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {path for path in paths if path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as its wheel installs it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, since a build leaves files that the next would take, too
    shutil.copytree(ROOT / "mentormix_tf", source / "mentormix_tf")
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, source)
    wheel = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    built = python(*wheel, f"--wheel-dir={folder}", str(source), cwd=folder)
    assert built.returncode == 0, built.stderr
    [file] = folder.glob("mentormix_tf-*.whl")
    pip = ["-m", "pip", "install", "--no-deps", "--quiet", f"--target={folder / 'site'}"]
    done = python(*pip, str(file), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_wheel_trains_from_any_folder(installed, tmp_path):
    flags = ["--train_steps=4", "--eval_every=2", "--model_dir=run", "--data_dir=data"]
    done = python("-m", "mentormix_tf.train", *flags, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "result.json").exists()


def test_wheel_finds_shipped_files_by_name(installed, tmp_path):
    flags = ["--print_config", "--flagfile=flags/cifar10/symmetric_60.flags"]
    train = python("-m", "mentormix_tf.train", *flags, cwd=tmp_path, PYTHONPATH=str(installed))
    assert "--noise_level=0.6" in train.stdout.splitlines(), train.stderr
    code = (
        "from mentormix_tf.studies import study_file;"
        "print(study_file.read('studies/digits.yaml').title)"
    )
    study = python("-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert study.stdout == "Eight methods on digits, symmetric noise\n", study.stderr


def test_wheel_holds_the_package_alone(installed):
    folders = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert folders == {"mentormix_tf", "bin"}
    assert list(installed.glob("*.dist-info/**/LICENSE"))
    assert files(installed / "mentormix_tf") == files(ROOT / "mentormix_tf")


def test_metadata(installed):
    [distribution] = importlib.metadata.distributions(path=[str(installed)])
    [command] = distribution.entry_points
    assert (command.group, command.name) == ("console_scripts", "mentormix")
    assert command.value == "mentormix_tf.cli:main"
    assert distribution.version == __version__


def test_what_is_imported_is_required(installed):
    [distribution] = importlib.metadata.distributions(path=[str(installed)])
    required = {canonicalize_name(Requirement(each).name) for each in distribution.requires}
    distributions = importlib.metadata.packages_distributions()
    for path in sorted((ROOT / "mentormix_tf").rglob("*.py")):
        for module in imported(path) - sys.stdlib_module_names - {"mentormix_tf"}:
            names = distributions.get(module, [module])  # the extra [aot] may not be installed
            assert required & {canonicalize_name(name) for name in names}, (path, module)


def test_without_tensorflow_one_sentence(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    bare = str(tmp_path / "bare" / "bin" / "python")
    command = python("-m", "mentormix_tf.train", executable=bare, PYTHONPATH=str(ROOT))
    assert command.returncode == 1
    assert command.stderr.count("\n") == 1 and "pip install 'mentormix-tf[cpu]'" in command.stderr
    library = python("-c", "import mentormix_tf", executable=bare, PYTHONPATH=str(ROOT))
    assert "ImportError: mentormix_tf needs TensorFlow" in library.stderr


def test_another_backend_in_the_users_settings_is_overruled():
    code = "import mentormix_tf, keras; assert keras.backend.backend() == 'tensorflow'"
    done = python("-c", code, cwd=ROOT, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr


def test_another_backend_already_loaded_is_said():
    # A stand-in for Keras: the real one can't be imported on a backend that isn't installed.
    code = (
        "import sys, types; keras = sys.modules['keras'] = types.ModuleType('keras');"
        "keras.backend = types.SimpleNamespace(backend=lambda: 'jax');"
        "import mentormix_tf"
    )
    done = python("-c", code, cwd=ROOT)
    assert (
        "ImportError: mentormix_tf needs Keras on TensorFlow, but Keras was imported on jax"
        in done.stderr
    )

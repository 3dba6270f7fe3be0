"""The package as it is installed: from a wheel, without TensorFlow, beside another backend."""

import ast
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys

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


@pytest.mark.slow
def test_wheel_trains_from_any_folder(installed, tmp_path):
    flags = ["--train_steps=4", "--eval_every=2", "--model_dir=run", "--data_dir=data"]
    done = python("-m", "mentormix_tf.train", *flags, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
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


@pytest.fixture
def no_tensorflow(tmp_path):
    """A PYTHONPATH on which TensorFlow can't be imported, nor found."""
    # What Python takes for "this can't be imported".
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['tensorflow'] = None\n")
    return f"{tmp_path}{os.pathsep}{ROOT}"


def test_without_tensorflow_one_sentence(no_tensorflow):
    command = python("-m", "mentormix_tf.train", "--print_config", PYTHONPATH=no_tensorflow)
    assert command.returncode == 1
    assert command.stderr.count("\n") == 1 and "pip install 'mentormix-tf[cpu]'" in command.stderr
    for code in ("mm.MentorMix", "mm.methods.O2UNet", "mm.methods.get('gce')", "mm.open_run"):
        library = python("-c", f"import mentormix_tf as mm; {code}", PYTHONPATH=no_tensorflow)
        assert "BackendError: mentormix_tf needs TensorFlow" in library.stderr


LIGHT = [
    *("mentormix_tf", "mentormix_tf.data.noise", "mentormix_tf.config", "mentormix_tf.config.run"),
    *("mentormix_tf.data.sources", "mentormix_tf.networks", "mentormix_tf.methods"),
    *("mentormix_tf.studies.summaries", "mentormix_tf.studies.settings", "mentormix_tf.train"),
    *("mentormix_tf.evaluate", "mentormix_tf.study", "mentormix_tf.cli"),
]


def test_light_rooms_and_help_need_no_tensorflow(no_tensorflow):
    code = f"import importlib, sys; [importlib.import_module(name) for name in {LIGHT}]"
    done = python("-c", f"{code}; assert 'keras' not in sys.modules", PYTHONPATH=no_tensorflow)
    assert done.returncode == 0, done.stderr
    done = python("-m", "mentormix_tf.train", "--help", PYTHONPATH=no_tensorflow)
    assert done.returncode == 0 and "--gamma_p" in done.stdout, done.stderr


def test_commands_are_functions_of_one_process(tmp_path, monkeypatch, capsys):
    from mentormix_tf import cli, doctor, evaluate, prepare, teach, train, verify

    monkeypatch.chdir(tmp_path)
    flags = ["--data_dir=data", "--noise_level=0.2"]
    assert verify.main(flags) == 1 and "make it with" in capsys.readouterr().err
    assert prepare.main(flags) == 0 and "wrong labels 19.97%" in capsys.readouterr().out
    assert doctor.main(flags) == 0
    printed = capsys.readouterr()
    assert "Nothing is wrong" in printed.out and "doctor is now called verify" in printed.err
    assert teach.main(["--steps=0"]) == 1
    assert "steps=0 must be at least 1" in capsys.readouterr().err
    assert cli.main(["train", "--print_config", "--seed=3"]) == 0
    assert "--seed=3\n" in capsys.readouterr().out
    assert train.main(["--print_config"]) == 0  # the flags before are forgotten
    assert "--seed=0\n" in capsys.readouterr().out
    assert evaluate.main([]) == 1 and "Name either a run" in capsys.readouterr().err


def test_mentormix_names_its_commands(capsys):
    from mentormix_tf import cli

    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in cli.COMMANDS)
    assert cli.main(["--version"]) == 0 and capsys.readouterr().out.startswith("mentormix_tf ")
    assert cli.main(["trian"]) == 2
    assert "trian is not a command: see mentormix --help, perhaps train" in capsys.readouterr().err


def test_another_backend_in_the_users_settings_is_overruled():
    code = "import mentormix_tf, keras; assert keras.backend.backend() == 'tensorflow'"
    done = python("-c", code, cwd=ROOT, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr


def test_another_backend_already_loaded_is_said():
    # A stand-in for Keras: the real one can't be imported on a backend that isn't installed.
    code = (
        "import sys, types; keras = sys.modules['keras'] = types.ModuleType('keras');"
        "keras.backend = types.SimpleNamespace(backend=lambda: 'jax');"
        "import mentormix_tf; mentormix_tf.MentorMix"
    )
    done = python("-c", code, cwd=ROOT)
    message = "mentormix_tf needs Keras on TensorFlow, but Keras was already imported on jax"
    assert f"BackendError: {message}" in done.stderr

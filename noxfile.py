"""Runs a core of the tests on the oldest and the newest supported versions.

nox                             both, as far as their Pythons are installed
nox -s oldest -- tests/data     other tests: what follows -- is for pytest
"""

import tempfile

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

CORE = ("--numprocesses=2", "--dist=worksteal", "-m", "quick and not slow")


@nox.session(python="3.10")
def oldest(session):
    """The lower ends of the ranges in pyproject.toml."""
    core(session, "etils==1.9.4", "keras==3.12.*", "tensorflow-cpu==2.20.*")


@nox.session(python="3.13")
def newest(session):
    """The newest versions that pyproject.toml allows."""
    core(session)


def core(session, *versions):
    """Runs the quick tests, and trains once from the command line."""
    session.install("--editable", ".[test]", *versions)
    session.run("python", "-m", "pytest", *(session.posargs or CORE))
    with tempfile.TemporaryDirectory() as folder:
        train = ("python", "-m", "mentormix_tf.train", "--train_steps=20", "--eval_every=10")
        session.run(*train, f"--data_dir={folder}/data", f"--model_dir={folder}/run")

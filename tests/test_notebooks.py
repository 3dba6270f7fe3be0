"""The notebooks run from top to bottom, offline, and show what they say.

Those in the repository have the outputs of a real run, for readers who do not run them.
"""

import ast
import json
import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SECONDS = 600  # for a cell
PATHS = re.compile(r"(?<![\w.])(/\w+/|~/|[A-Z]:\\)")
NOISE = re.compile(r"warning|traceback|\x1b|\r", re.IGNORECASE)


def find_fix_retrain(text):
    """Checks that most planted errors are found, and what the corrections are worth."""
    for line in ("flagged labels that are wrong:", "planted errors that were flagged:"):
        assert percentages(text, line)[0] > 0.8
    plain, plain_fixed, mixed, mixed_fixed = (
        percentages(text, f"{method}, {labels}")[1]  # the last
        for method in ("plain", "mentormix")
        for labels in ("as found", "corrected")
    )
    assert plain_fixed > plain + 0.1
    assert mixed > plain + 0.03
    assert mixed_fixed > mixed - 0.01


def mentormix_in_keras(text):
    """Checks that only cross-entropy memorizes, and that the weights and the audit tell why."""
    best, last = percentages(text, "cross-entropy  best epoch")
    assert last < best - 0.1
    assert percentages(text, "MentorMix      best epoch")[1] > last + 0.1
    memorized, _ = percentages(text, "cross-entropy      ")
    assert memorized > percentages(text, "MentorMix          ")[0] + 0.2
    v = re.search(r"mean v of right labels (\S+), of wrong labels (\S+)\n", text)
    assert float(v[1]) > float(v[2]) + 0.5
    estimated, true = percentages(text, "wrong labels, estimated:")
    assert estimated == pytest.approx(true, abs=0.05)
    assert percentages(text, "wrong labels that were flagged:")[0] > 0.85


CHECKS = {check.__name__: check for check in (find_fix_retrain, mentormix_in_keras)}


@pytest.fixture(params=CHECKS)
def path(request):
    return ROOT / "notebooks" / f"{request.param}.ipynb"


@pytest.fixture
def cells(path):
    return json.loads(path.read_text())["cells"]


def sources(cells, kind):
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def outputs(cells):
    return [output for cell in cells for output in cell.get("outputs", [])]


def printed(cells):
    return "".join("".join(output.get("text", "")) for output in outputs(cells))


def percentages(text, start):
    """The percentages, as fractions, of the line that starts so."""
    [line] = [line for line in text.splitlines() if line.startswith(start)]
    return [float(number) / 100 for number in re.findall(r"([\d.]+)%", line)]


def test_all_notebooks_are_checked():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == set(CHECKS)


def test_a_notebook_is_valid(path):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra notebooks")
    nbformat.validate(nbformat.read(path, as_version=4))


def test_its_code_compiles_and_downloads_nothing(cells):
    for source in sources(cells, "code"):
        if not source.startswith("%%"):  # the whole cell is for a shell, or a file
            ast.parse(re.sub(r"^%.*", "pass", source, flags=re.MULTILINE))
        assert not re.search(r"^[!%](pip|git|wget|curl)|https?:", source, re.MULTILINE)


def test_it_says_how_to_open_it_in_colab(cells):
    assert re.search(r"Colab.*File > Open notebook", sources(cells, "markdown")[0], re.DOTALL)
    assert sources(cells, "code")[0].startswith("# %pip install")


def test_its_outputs_are_of_one_whole_run(path, cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert {output["output_type"] for output in outputs(cells)} == {"stream", "display_data"}
    kinds = [kind for output in outputs(cells) for kind in output.get("data", {})]
    assert sum(kind in ("image/jpeg", "image/png") for kind in kinds) >= 3
    assert path.stat().st_size < 400_000
    CHECKS[path.stem](printed(cells))


def test_its_outputs_have_no_paths_of_a_machine_and_no_warnings(cells):
    text = printed(cells)
    assert not PATHS.search(text) and not NOISE.search(text)
    assert {output.get("name", "stdout") for output in outputs(cells)} == {"stdout"}


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(path, monkeypatch, tmp_path):
    pytest.importorskip("ipykernel", reason="needs the extra notebooks")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra notebooks")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra notebooks")
    # `python` in a shell is this Python, with this package.
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources=where).execute()
    CHECKS[path.stem](printed(notebook.cells))

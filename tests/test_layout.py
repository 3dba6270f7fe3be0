"""A module's tests are found by its name: those of mentormix_tf/a/b.py in tests/a/test_b.py."""

import fnmatch
import pathlib

TESTS = pathlib.Path(__file__).parent
PACKAGE = TESTS.parent / "mentormix_tf"

# Modules, by pattern, that are tested elsewhere.
ELSEWHERE = {
    "aot_compile.py": "training/test_tpu_compiler.py",
    "verify.py": "test_prepare.py",
    "study.py studies/study_run.py studies/child.py": "studies/test_runner.py",
    "studies/*_executor.py studies/executor.py studies/run_process.py": "studies/test_runner.py",
    "studies/ray_cluster.py studies/ray_worker.py": "studies/test_ray_executor.py",
    "evaluate.py predict.py export.py": "serving/test_commands.py",
    "config/*": "config/test_codec.py",
    "audit.py": "auditing/test_audit_command.py",
    "auditing/findings.py inference/survey.py auditing/judgment.py": "auditing/test_subjects.py",
    "auditing/gallery.py auditing/result.py": "auditing/test_audit_command.py",
    "cli.py __main__.py doctor.py teach.py version.py": "test_package.py",
    "train_mentor.py mentors/curriculum.py": "mentors/test_mentor_run.py",
    "errors.py": "test_console.py",
    "data/verify.py data/writer.py data/settings.py data/manifest_facts.py": "data/test_splits.py",
    "data/array_file.py": "data/test_noise.py",
    "data/beam_steps.py": "data/test_beam_pipeline.py",
    "data_service.py": "data/test_service.py",
    "data/examples.py": "data/test_pipeline.py data/test_records.py",
    "data/spreadsheet.py": "data/sources/test_users_csv.py data/test_corrections.py",
    "data/sources/*": "data/test_official_sources.py data/test_hand_downloads.py",
    "distribution/replicated_model.py": "distribution/test_replicas.py",
    "mentors/base.py": "mentors/test_mentors.py",
    "methods/*": "methods/test_losses.py methods/test_conformance.py",
    "metrics/plots.py": "metrics/test_classification.py",
    "reports/thumbnails.py reports/html_page.py": "reports/test_audit_page.py",
    "studies/report_page.py": "reports/test_study_page.py",
    "npz.py runs/examples.py": "auditing/test_subjects.py data/test_examples_file.py",
    "runs/checkpoint_files.py runs/run_folder.py": "runs/test_saved_run.py training/test_resume.py",
    "runs/flags_txt.py": "runs/test_saved_run.py",
    "runs/defaults.py": "test_train.py",
    "runs/layout.py runs/provenance.py runs/result.py": "training/test_run.py",
    "serving/classifier.py": "serving/test_saved_model.py serving/test_rest.py",
    "serving/model_card.py": "serving/test_saved_model.py",
    "serving/run.py": "test_public.py",
    "serving/scoring.py": "serving/test_commands.py",
    "serving/warmup.py": "serving/test_saved_model.py",
    "studies/figures.py studies/published.py studies/results.py": "studies/test_report.py",
    "studies/yaml_file.py": "studies/test_study_file.py",
    "training/aot.py": "training/test_tpu_compiler.py",
    "training/surveys.py": "auditing/test_subjects.py training/test_rog.py",
    "training/model.py": "training/test_run.py training/test_tpu_compiler.py",
    "training/checkpoints.py training/loop.py": "training/test_resume.py",
    "rounds/comparison.py": "test_train.py",
    "rounds/rounds_folder.py": "rounds/test_run.py",
    "training/evaluation.py training/report.py training/tensorboard.py": "training/test_run.py",
}
# Tests of a whole room, or of no module.
WHOLE = (
    "auditing/test_other_tools.py",
    "data/test_corrections_files.py",
    "networks/test_networks.py",
    "reports/test_audit_page_in_a_browser.py",
    "reports/test_study_page_in_a_browser.py",
    "training/test_network_files.py",
    "training/test_old_runs.py",
    "training/test_restarts.py",
    "test_annotations.py",
    "test_benchmarks.py",
    "test_docs.py",
    "test_flags.py",
    "test_floors.py",
    "test_layout.py",
    "test_notebooks.py",
    "test_package.py",
    "test_private_apis.py",
    "test_public.py",
    "test_registries.py",
    "test_shipped.py",
    "test_site.py",
    "test_tpu_scripts.py",
)


def below(folder, pattern):
    return {path.relative_to(folder) for path in folder.rglob(pattern)}


def elsewhere(module):
    """The files that have a module's tests, if they are not where its name says."""
    for patterns, files in ELSEWHERE.items():
        if any(fnmatch.fnmatch(str(module), pattern) for pattern in patterns.split()):
            return files.split()
    return []


def test_every_module_has_tests():
    for module in below(PACKAGE, "*.py"):
        own = module.with_name(f"test_{module.name}")
        if module.name != "__init__.py" and not (TESTS / own).exists():
            assert elsewhere(module), f"{module} has no tests/{own}"


def test_every_test_file_is_found():
    listed = {path for files in ELSEWHERE.values() for path in files.split()}
    assert all((TESTS / path).exists() for path in (*listed, *WHOLE))
    for path in below(TESTS, "test_*.py") - below(TESTS, "fuzz/*.py"):
        module = PACKAGE / path.with_name(path.name.removeprefix("test_"))
        assert module.exists() or str(path) in (*listed, *WHOLE), f"{path} is of no module"


def test_exceptions_are_of_modules_that_are_there():
    modules = [str(module) for module in below(PACKAGE, "*.py")]
    for pattern in " ".join(ELSEWHERE).split():
        assert fnmatch.filter(modules, pattern), f"{pattern} is of no module"

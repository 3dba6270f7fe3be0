"""Checks images and writes splits by Apache Beam: in processes of this machine, or on a cluster.

This module imports neither Beam nor TensorFlow, so that bad options are refused at once.
"""

import contextlib
import io
import logging
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath

from mentormix_tf import backend, files, standard_error
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

if TYPE_CHECKING:
    from mentormix_tf.data.beam_steps import SplitFiles

__all__ = ["BeamPipeline", "workplace"]

_DEFAULTS = (
    # On this machine, a process for each core; other runners ignore this.
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=0",
    "--default_sdk_harness_log_level=CRITICAL",  # errors come back as exceptions, too
)
# DirectRunner would first try to download and to run another one, Prism.
_LOCAL_RUNNER = "FnApiRunner"
_LOCAL_NAMES = ("direct", "directrunner", "fnapi", "fnapirunner")
_MOST_PARTS = 1024


class BeamPipeline:
    """Apache Beam with the options that a user has given.

    Args:
        words: Beam's pipeline options as on a command line, such as `--runner=FlinkRunner`.

    Raises:
        InputError: Beam is not installed, or does not accept an option.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        with _quiet(logging.WARNING):  # of other clouds' libraries that are missing
            try:
                import apache_beam  # noqa: F401
            except ImportError as error:
                raise InputError(
                    "--beam needs Apache Beam: pip install 'mentormix-tf[beam]'."
                ) from error
            self._words = [*_DEFAULTS, *words]
            self._runner = _runner(self._words, f"beam_options={','.join(words)}")

    def bad_images(
        self, folder: epath.Path, images: ImagesOnDemand, max_pixels: int, name: str
    ) -> dict[int, str]:
        """Tries to decode images, as `images.bad_images` does.

        Args:
            folder: where to put temporary files; all workers must be able to reach it.
            images: encoded images.
            max_pixels: most pixels that an image may have.
            name: name of their split.
        """
        import apache_beam as beam

        from mentormix_tf.data import beam_steps

        parts = np.array_split(np.arange(len(images)), min(len(images), _MOST_PARTS))
        with workplace(folder) as work:
            inputs = ((images.part(part), int(part[0])) for part in parts)
            tasks = beam_steps.store(work / name, inputs)

            def build(pipeline):
                found = _distributed(pipeline, "Images", tasks)
                return found | "Check" >> beam.Map(_Step(work, "find_bad_images", max_pixels))

            self._run(build, work)
            return beam_steps.found_bad_images(tasks)

    def write(self, splits: Mapping[str, "SplitFiles"], features: Any, work: epath.Path) -> None:
        """Writes the files of splits.

        Args:
            splits: what to write, by name of the split.
            features: the features of an example, as TFDS describes them.
            work: a folder of `workplace`.
        """
        import apache_beam as beam

        fragments = [(name, task) for name, split in splits.items() for task in split.fragments]

        def build(pipeline):
            sizes = (
                _distributed(pipeline, "Fragments", fragments)
                | "Write" >> beam.Map(_Step(work, "write_fragment", features))
                | "Add sizes" >> beam.CombinePerKey(sum)  # which waits for all fragments
            )
            shards = sizes | "Shards" >> beam.FlatMap(_Step(work, "shards_of", splits))
            distributed = shards | "Distribute shards" >> beam.Reshuffle()
            return distributed | "Join" >> beam.Map(_Step(work, "join_fragments", splits))

        self._run(build, work)

    def _run(self, build: Callable[[Any], Any], work: epath.Path) -> None:
        """Runs a pipeline to its end; a step leaves the reason of its error in `work`."""
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        options, is_local = PipelineOptions(self._words), self._runner == _LOCAL_RUNNER
        runner = _local_runner(options) if is_local else self._runner
        said = io.BytesIO()
        try:
            with (
                _quiet(logging.ERROR),  # the traceback of an error that Beam then raises
                # The workers print of themselves while they start.
                standard_error.kept_in(said) if is_local else contextlib.nullcontext(),
                beam.Pipeline(runner=runner, options=options) as made,
            ):
                build(made)
        except Exception as error:  # of any runner
            told = sorted(work.glob("*.error"))
            if told:
                raise InputError(told[0].read_text()) from error
            sys.stderr.write(said.getvalue().decode(errors="replace"))
            raise InputError(f"--beam: the pipeline failed: {_reason(error)}.") from error


def _runner(words: Sequence[str], shown: str) -> str:
    """Checks Beam's options; returns the name of the runner."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import (
        DirectOptions,
        PipelineOptions,
        StandardOptions,
    )

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # argparse prints, and ends the process
            options = PipelineOptions(list(words))
            known = options.get_all_options()
            every = options.get_all_options(retain_unknown_options=True)
    except SystemExit as error:
        reason = said.getvalue().strip().rpartition("error: ")[2]
        raise InputError(f"{shown} can't be used: {reason}.") from error
    unknown = [word for word in words if not word.startswith("--")]
    unknown += [f"--{name}" for name in sorted(every.keys() - known.keys())]
    if unknown:
        raise InputError(f"{shown}: {unknown[0]} is not one of Beam's pipeline options.")
    if options.view_as(DirectOptions).direct_num_workers < 0:
        raise InputError(f"{shown}: direct_num_workers must be at least 0.")
    name = options.view_as(StandardOptions).runner or _LOCAL_RUNNER
    name = _LOCAL_RUNNER if name.lower() in _LOCAL_NAMES else name
    try:
        made = beam.Pipeline(runner=name, options=options)  # which checks what this runner needs
        shutil.rmtree(made.local_tempdir)  # as running it would
    except Exception as error:  # of any runner
        raise InputError(f"{shown} can't be used: {_reason(error)}.") from error
    return name


def _local_runner(options: Any) -> Any:
    """A runner whose workers know the options, as those of Beam's DirectRunner do."""
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(info))


def _reason(error: Exception) -> str:
    """The last line of an error, where runners say what happened."""
    return (str(error).strip() or repr(error)).splitlines()[-1].strip().rstrip(".")


@contextlib.contextmanager
def _quiet(level: int) -> Iterator[None]:
    """Holds back messages up to a level, which Beam logs by the root logger or its own."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def workplace(folder: epath.Path) -> Iterator[epath.Path]:
    """A context with a temporary folder, whose name says that it is incomplete.

    Args:
        folder: where it is created.
    """
    work = folder / f"incomplete.{uuid.uuid4().hex}.beam"
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        work.rmtree()


def _distributed(pipeline: Any, name: str, tasks: Sequence[Any]) -> Any:
    """The tasks, each of which any worker may take."""
    import apache_beam as beam

    return pipeline | name >> beam.Create(tasks) | f"Distribute {name}" >> beam.Reshuffle()


class _Step:
    """A function of `beam_steps`, as the workers call it for each element.

    Args:
        work: a folder, in which it leaves the reason of an error.
        name: its name.
        argument: its second argument, after the element.
    """

    def __init__(self, work: epath.Path, name: str, argument: Any) -> None:
        self._work, self._name, self._argument = str(work), name, argument

    def __call__(self, element: Any) -> Any:
        backend.load()
        from mentormix_tf.data import beam_steps

        try:
            return getattr(beam_steps, self._name)(element, self._argument)
        except (InputError, OSError) as error:
            path = getattr(error, "filename", None) or self._work
            is_told = isinstance(error, InputError)
            reason = str(error) if is_told else f"{path}: {files.reason(error)}."
            (epath.Path(self._work) / f"{uuid.uuid4().hex}.error").write_text(reason)
            raise

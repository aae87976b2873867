"""Structs of subjects and their image recipes, for their files and for the stages."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from patchbench.config import Count, Sandbox, Section, Vocabulary

BenchType = Literal["serving", "latency", "throughput", "prefix_caching"]
BENCH_TYPES: tuple[BenchType, ...] = ("serving", "latency", "throughput", "prefix_caching")
# Benchmarks whose options are known (``plan.translation``).
OptionFamily = Literal["vllm", "sglang"]
Words = tuple[str, ...]
AbsolutePath = Annotated[str, Meta(pattern="^/", title="an absolute path")]


class Source(Section, frozen=True, kw_only=True):
    """The source of a subject's code."""

    repo: Annotated[str, Meta(description="a bare git repository")]
    prepare: Annotated[Words, Meta(description="command that makes it if it is absent")] = ()


class Overlay(Section, frozen=True, kw_only=True):
    """Untracked files (compiled extensions) that a tree borrows, by links, from an installation."""

    folder: Annotated[str, Meta(description="where the package is installed")]
    patterns: Annotated[Words, Meta(description="files that a tree borrows from it, by links")]


class Server(Section, frozen=True, kw_only=True):
    """The start of a subject's server."""

    command: Annotated[Words, Meta(description="command that starts the server")]
    ready_path: Annotated[str, Meta(description="path that answers once it is ready")] = "/health"
    flags: Annotated[
        Words, Meta(description="options on a client's line that belong to the server")
    ] = ()


class Client(Section, frozen=True, kw_only=True):
    """One benchmark client."""

    command: Annotated[Words, Meta(description="command that sends the load")]
    detect: Annotated[
        Words, Meta(description="words at the end of a task's program that name this benchmark")
    ]
    optional: Annotated[
        Words,
        Meta(description="options (with a value each) left out if the parent's script lacks them"),
    ] = ()
    checks_output: Annotated[bool, Meta(description="the offline command takes `{check_args}`")] = (
        False
    )
    options_of: Annotated[
        OptionFamily,
        Meta(description="whose benchmark's options its commands use, for `measure: judge`"),
    ] = "vllm"
    defaults: Annotated[
        dict[str, str],
        Meta(
            description="options that a command means if it leaves them out, where others than "
            "theirs"
        ),
    ] = {}


class OutputCheck(Section, frozen=True, kw_only=True):
    """Fixed prompts at temperature 0; the answers are compared with the baseline's."""

    prompts: Annotated[Words, Meta(description="fixed prompts whose answers must not change")]
    max_tokens: Annotated[Count, Meta(description="length of an answer")] = 16
    path: Annotated[str, Meta(description="where they are sent")] = "/v1/completions"
    min_agreement: Annotated[
        float, Meta(ge=0, le=1, description="share of equal answers that is enough")
    ] = 1.0


class ModelSize(Section, frozen=True, kw_only=True):
    """Models (a regular expression) that need several GPUs by their size alone."""

    match: str
    gpus: Count
    why: str


class KnownBug(Section, frozen=True, kw_only=True):
    """An upstream bug that keeps some commits' benchmarks from running."""

    id: str
    commits: Words
    why: str
    types: tuple[BenchType, ...] = ()


class Known(Section, frozen=True, kw_only=True):
    """Facts that only people know about a subject's commits and models. It excludes tasks; it never
    changes how one is measured."""

    not_perf_commits: Annotated[
        dict[str, str], Meta(description="commits without performance work, and why")
    ] = {}
    dead_models: Annotated[
        dict[str, str], Meta(description="models that can't be had any more, and why")
    ] = {}
    model_gpus: Annotated[
        tuple[ModelSize, ...],
        Meta(description="models that need several GPUs by their size"),
    ] = ()
    bugs: Annotated[
        tuple[KnownBug, ...],
        Meta(description="upstream bugs that stop a benchmark"),
    ] = ()
    unreached: Annotated[
        dict[str, str],
        Meta(
            description="commits whose change their workload does not execute although the "
            "changed files are, and why"
        ),
    ] = {}
    answers_ignored: Annotated[
        dict[str, str],
        Meta(
            description="commits whose answers are not checked, and why: their commands load dummy "
            "weights"
        ),
    ] = {}


Need = Literal["backend", "engine", "flag", "env", "model"]


class ReachRule(Section, frozen=True, kw_only=True):
    """Files that only some workloads execute: by words of their path (split at slashes,
    underscores, dots and hyphens), by globs (folders end in a slash), or both.

    ``needs`` are conditions with their values; one value of one condition must hold:
    ``backend: [rocm]``, ``engine: [V1]``, ``env: [NAME=VALUE]``, ``model: ["Qwen2-VL*"]`` (globs on
    the model's name), ``flag: [--kv-transfer-config, --load-format tensorizer]`` (given, or on by
    default at the parent).
    """

    needs: Annotated[dict[Need, Words], Meta(min_length=1)]
    words: Words = ()
    paths: Words = ()
    spared: Annotated[Words, Meta(description="globs of files that the rule does not mean")] = ()
    why: str = ""


class EngineSource(Section, frozen=True, kw_only=True):
    """The engine version that a tree runs: the default of an environment variable in a file.
    ``names`` are the versions by value; a tree without the variable runs ``otherwise``."""

    env: Annotated[str, Meta(description="the environment variable that chooses it")]
    file: Annotated[str, Meta(description="the file that gives it a default")]
    names: Annotated[dict[str, str], Meta(description="names of the engine versions by its value")]
    otherwise: Annotated[str, Meta(description="the version that runs without the variable")]
    undecided: Annotated[
        str,
        Meta(
            description="models (a regular expression) for which an engine may fall back to "
            "`otherwise`; rules about the engine don't apply to them"
        ),
    ] = ""


class ModelNeed(Section, frozen=True, kw_only=True):
    """Models (a regular expression on the name) that need a word in one of the engine's files."""

    match: str
    word: str
    files: Words
    why: str


class DataSource(Section, frozen=True, kw_only=True):
    """The data set that a client means: the client's name at the end of a command's program, the
    files of its parser, and the data set that it takes if neither command nor parser names one."""

    program: str
    files: Words
    otherwise: str = ""


class FactSources(Section, frozen=True, kw_only=True):
    """Places in a subject's tree that show what the parent can run. One list holds the places of
    all releases."""

    server: Annotated[
        Words, Meta(description="modules of the server, one of which must exist")
    ] = ()
    arguments: Annotated[Words, Meta(description="files in which its parser is built")] = ()
    ready: Annotated[
        Words, Meta(description="routes that answer once it is ready, the best first")
    ] = ("/health", "/v1/models")
    offline: Annotated[
        dict[BenchType, Words],
        Meta(description="files in which an offline benchmark's parser is built, its script first"),
    ] = {}
    python: Annotated[Words, Meta(description="files that name the Python versions")] = (
        "pyproject.toml",
        "setup.py",
    )
    engine: Annotated[
        EngineSource | None, Meta(description="the engine version that runs by default")
    ] = None
    models: Annotated[
        tuple[ModelNeed, ...], Meta(description="models that older engines don't know")
    ] = ()
    data: Annotated[
        tuple[DataSource, ...], Meta(description="the data set that a serving command means")
    ] = ()
    generated: Annotated[Words, Meta(description="data sets that a client makes itself")] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that some fact is read from, once each."""
        engine = (self.engine.file,) if self.engine else ()
        models = [path for need in self.models for path in need.files]
        offline = [path for files in self.offline.values() for path in files]
        data = [path for source in self.data for path in source.files]
        all_ = (*self.server, *self.arguments, *self.python, *engine, *models, *offline, *data)
        return tuple(dict.fromkeys(all_))


class SubjectFile(Section, frozen=True, kw_only=True):
    """An engine under test, all of it data. Commands are lists of words with placeholders in
    braces; there is no shell."""

    title: Annotated[str, Meta(description="how the report names it")]
    source: Source
    server: Server
    clients: Annotated[
        dict[BenchType, Client],
        Meta(
            min_length=1,
            description="by type of benchmark",
            extra={"key": "TYPE"},
        ),
    ]
    python: Annotated[
        str | None,
        Meta(
            description="interpreter that runs the engine", extra={"default": "the workflow's own"}
        ),
    ] = None
    env: Annotated[dict[str, str], Meta(description="environment of every arm")] = {}
    model: Annotated[
        dict[str, str],
        Meta(description="where a task's model lies; others are taken as they are named"),
    ] = {}
    overlay: Annotated[
        Overlay | None,
        Meta(description="untracked files (compiled extensions) of an installed package"),
    ] = None
    judge_paths: Annotated[
        Words,
        Meta(
            description="benchmark code: always the baseline's; a patch's changes there are "
            "stripped"
        ),
    ] = ()
    out_of_scope: Annotated[
        Words, Meta(description="files that can't change the engine (tests, docs); stripped")
    ] = ()
    native_patterns: Annotated[
        Words,
        Meta(description="compiled sources and build files; a patch that touches one is rebuilt"),
    ] = ()
    smoke: Annotated[Words, Meta(description="command that shows that a tree imports")] = ()
    gpu_flags: Annotated[
        Words, Meta(description="options whose product is the number of GPUs that a task needs")
    ] = ()
    versions: Annotated[
        Words, Meta(description="packages whose versions are recorded with each launch")
    ] = ()
    output_check: Annotated[
        OutputCheck | None,
        Meta(description="fixed prompts at temperature 0"),
    ] = None
    backend: Annotated[str, Meta(description="what workloads run on (`cuda`, `cpu`, ...)")] = ""
    reach: Annotated[
        tuple[ReachRule, ...],
        Meta(
            description="files that only some workloads execute; a patch of such files alone is "
            "not measured, and no task whose own commit is one"
        ),
    ] = ()
    plumbing: Annotated[
        Words,
        Meta(
            description="files that pass settings on; beside files that are not executed they "
            "make no change reachable"
        ),
    ] = ()
    facts: Annotated[
        FactSources | None,
        Meta(description="where a parent's tree says what it can run", extra={"key": ""}),
    ] = None
    known: Known = Known()
    vocabulary: Vocabulary = Vocabulary()


class Subject(SubjectFile, frozen=True, kw_only=True):
    """A subject with its name. File: ``config/subjects/NAME.yaml``."""

    name: str


class Fix(Section, frozen=True, kw_only=True):
    """A named mend of an image (a pin, a missing package): what is run, and why."""

    name: str
    why: Annotated[str, Meta(min_length=10, title="a reason of at least 10 characters")]
    run: Words


class Base(Section, frozen=True, kw_only=True):
    """The source of an image's dependencies: one of a script and an image."""

    script: Annotated[
        str,
        Meta(
            description="a file of this folder that writes a root file system: "
            "`SCRIPT OUT.tar WORK_FOLDER`"
        ),
    ] = ""
    image: Annotated[str, Meta(description="or an image that the engine has, with its tag")] = ""
    pull: Annotated[bool, Meta(description="that image may be pulled")] = False
    secrets: Annotated[
        Words,
        Meta(
            description="environment variables that the script gets; masked in its log, never in "
            "an image"
        ),
    ] = ()


class Prebuilt(Section, frozen=True, kw_only=True):
    """Names of images that others made, with {parent}, {commit} and a length ({parent:.12})."""

    baseline: Annotated[
        str, Meta(description="name of the engine's image at the parent, with `{parent:.12}`")
    ]
    human: Annotated[
        str,
        Meta(
            description="the same at the human's commit, with `{commit}`",
            extra={"default": "the baseline's with the patch"},
        ),
    ] = ""
    pull: Annotated[bool, Meta(description="they may be pulled")] = False


class RecipeFile(Section, frozen=True, kw_only=True):
    """Instructions for a subject's images. All files of the folder are part of the recipe. Commands
    are lists of words with placeholders in braces; there is no shell."""

    root: Annotated[AbsolutePath, Meta(description="where the subject's tree lies in the image")]
    python: Annotated[AbsolutePath, Meta(description="the interpreter in the image")]
    base: Base = Base()
    dockerfile: Annotated[
        str,
        Meta(
            description="template of the parent's image; gets `base`, `root`, `python`, `fixes`, "
            "the tree is in `tree/`"
        ),
    ] = "Dockerfile.j2"
    fixes: Annotated[tuple[Fix, ...], Meta(description="named mends of the base")] = ()
    env: Annotated[
        dict[str, str], Meta(description="environment of every container; wins over the subject's")
    ] = {}
    rebuild: Annotated[
        Words,
        Meta(
            description="run in the tree, in a sandbox without network, if a patch touches "
            "compiled sources"
        ),
    ] = ()
    server_smoke: Annotated[
        Words | None,
        Meta(description="arguments of a server that starts without a GPU (dummy weights)"),
    ] = None
    sandbox: Sandbox = Sandbox()
    disk_mb: Annotated[
        Count,
        Meta(description="what one commit's images take beside the base, until some are measured"),
    ] = 500


class Recipe(RecipeFile, frozen=True, kw_only=True):
    """A recipe with its ``folder`` (``envs/images/NAME``), the ``digest`` of all files there, and
    the names of prebuilt images that the campaign gives."""

    folder: str
    digest: str
    prebuilt: Prebuilt | None = None

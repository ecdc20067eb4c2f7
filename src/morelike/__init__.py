"""More like your data: trains a generative model on somebody's own data, in the time and on the machine they have.

    import morelike

    run = morelike.fit("photos/", minutes=5)
    run.sample(64, label="cat").save("cats.png")

The verbs are those of the command line: `check`, `fit`, `resume`, `sample`, `report`, `explain`, `info`, `catalogue`
(there: list), and `load`. Nothing heavy is imported before the first of them is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from morelike.threads import quiet_threads

if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack

    from morelike.core.errors import DataError, MorelikeError, OptionError, RunError, TrainingError
    from morelike.explanation.page import Explanation
    from morelike.measure.audit import Audit
    from morelike.measure.record import Report
    from morelike.recipes import Request
    from morelike.run import Run, Samples
    from morelike.train.loop import Progress

    Place = str | PathLike[str]
    Frame = Any  # a data frame of polars or pandas

__version__ = "0.1.0"
__all__ = [
    "Audit", "DataError", "Explanation", "FitOptions", "MorelikeError", "OptionError", "Progress", "ReadOptions",
    "Report", "Request", "Run", "RunError", "Samples", "TrainingError", "catalogue", "check", "explain", "fit", "info",
    "load", "report", "resume", "sample",
]  # fmt: skip

LAZY = {
    "Run": "run", "Samples": "run", "Request": "recipes", "Progress": "train.loop",
    "Audit": "measure.audit", "Report": "measure.record", "Explanation": "explanation.page",
    "MorelikeError": "core.errors", "OptionError": "core.errors", "DataError": "core.errors", "RunError": "core.errors",
    "TrainingError": "core.errors",
}  # fmt: skip

quiet_threads()


class ReadOptions(TypedDict, total=False):
    """How a source is read.

    codec     auto | image | text | table: what its items are
    make      the column that is learnt, of several
    unit      auto | file | paragraph | line: how much of a text is one item
    image     size of the pictures in pixels, "28" or "64x48"; measured from the data if not given
    colour    auto | grey | rgb
    settings  any other setting of the codec, such as {"fit": "pad"}; for `fit` of the family and training too
    """

    codec: str
    make: str | None
    unit: str
    image: str | None
    colour: str
    settings: Mapping[str, str]


class FitOptions(ReadOptions, total=False):
    """The less common options of `fit`, beside those of `ReadOptions`.

    size      auto | tiny | small | medium | large | huge | a width, as text
    augment   auto | none | words such as "flip,crop=0.1,rotate=10"
    held_out  share of the data kept out of training, for measuring
    seed      the same seed gives the same run
    weights   folder of a run, or of a GPT-2 checkpoint, whose weights it begins with
    """

    size: str
    augment: str
    held_out: float
    seed: int
    weights: Place | None


def _place(source: Place | Frame) -> str:
    """The source as text; a data frame is kept in the cache first."""
    from os import PathLike

    if isinstance(source, str | PathLike):
        return str(source)
    if not hasattr(source, "columns"):
        from morelike.core.errors import OptionError

        expected = "A path, the name of a data set, or a data frame of polars or pandas"
        raise OptionError(f"The source is of the type {type(source).__name__}", expected, "Give one of these")
    from morelike.data.frame_base import keep_frame

    return str(keep_frame(source))


def check(
    source: Place | Frame, *, given: str = "label", held_out: float = 0.1, seed: int = 0, **options: Unpack[ReadOptions]
) -> Audit:
    """What is wrong with a source, before anything is trained on it: `.verdict`, `.findings`; the files are only read.

    given     field that holds the labels, or "none"
    held_out  share that `fit` would keep out of training
    seed      of the nets that look at the items
    options   see `ReadOptions`

    `.save("page.html")` writes what the command line does. Raises `DataError` where nothing can be used.
    """
    from morelike.auditing.full import audit
    from morelike.recipes import Request

    return audit(Request(_place(source), given=given, seed=seed, held_out=held_out, **options))


def fit(
    source: Place | Frame,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    family: str = "auto",
    net: str | None = None,
    given: str = "auto",
    out: Place | None = None,
    show: bool = True,
    **options: Unpack[FitOptions],
) -> Run:
    """Train a model on a source and return the run.

    source   folder, archive, array file, table, data frame, text, Hugging Face data set, or "menagerie"
    minutes  time for training, kept to 10 %; 5 if neither this nor `steps` is given
    steps    number of training steps, instead of a time
    family   kind of model, "auto" for what suits the items, and `net` kind of network: see `catalogue()`
    given    what to condition on: fields such as "label" or "form,title", "none", or "auto"
    out      new folder for the run; runs/<source>-<family>-<n> if not given
    show     show the progress as the command line does
    options  see `FitOptions`

    Raises `OptionError`, `DataError` or `TrainingError`, each with what was found, what was expected, what to do.
    Ctrl-C ends the step, saves the run, and raises KeyboardInterrupt; `resume` goes on from there.
    """
    from pathlib import Path

    from morelike.cli.session import follow
    from morelike.core.errors import unknown
    from morelike.recipes import Request
    from morelike.recipes import fit as begin

    known = {**ReadOptions.__annotations__, **FitOptions.__annotations__}
    for name in options.keys() - known.keys():
        raise unknown("option", name, [*known, *(fit.__kwdefaults__ or ())])
    folder = None if out is None else Path(out)
    request = Request(_place(source), family, net, given, minutes, steps, out=folder, **options)
    return load(follow(begin(request), show=show))


def resume(run: Place, *, show: bool = True) -> Run:
    """Continue an interrupted run as it was planned, and return it; raises `RunError` where that cannot be."""
    from pathlib import Path

    from morelike.cli.session import follow
    from morelike.recipes import resume as begin

    return load(follow(begin(Path(run)), show=show))


def load(run: Place) -> Run:
    """Read a run folder; this executes no code from it. Raises `RunError` if it is missing, incomplete or changed."""
    from pathlib import Path

    from morelike.run import Run

    return Run.load(Path(run))


def sample(run: Place | Run, n: int = 64, *, seed: int = 0, given: Mapping[str, str] | None = None) -> Samples:
    """Draw n new items; item i has seed `seed + i` and depends on nothing else but its condition.

    given  what to draw, such as {"label": "cat"}; the labels take turns if not given
    """
    from morelike.run import Run

    return (run if isinstance(run, Run) else load(run)).sample(n, seed=seed, given=given)


def report(
    run: Place | Run,
    against: Place | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    features: str = "learned",
    selftest: bool = True,
    show: bool = True,
) -> Report:
    """Measure a run: how real, how varied and how new its samples are, beside real items and a copy machine.

    against   a source that takes the place of the held-out items
    n         samples to draw; as many as there are training items, from 1,000 to 10,000, if None
    seed      the same seed gives the same numbers
    features  learned | random | inception | dinov2
    selftest  whether to try the measures on known damage
    show      show the progress as the command line does

    The page and the JSON are left in the run folder; `.verdict` and `.figures` hold what they say.
    """
    from morelike.cli.display import Silence, display
    from morelike.cli.report import follow
    from morelike.reporting import Asked
    from morelike.run import Run

    asked = Asked(None if against is None else str(against), n, seed, features, selftest)
    return follow(run if isinstance(run, Run) else load(run), asked, display() if show else Silence())


def explain(
    run: Place | Run, *, seeds: Sequence[int] = (), directions: int = 8, given: Mapping[str, str] | None = None
) -> Explanation:
    """What a run has learned: latent walks with their effect sizes, what samples resemble, where a transformer looks.

    seeds       samples to start from and to look up in the training data; 0 to 5 if none are given
    directions  rows on the sheets of directions
    given       condition of all that is shown, such as {"label": "cat"}

    `.save(folder)` writes the page and the pictures; without a folder they go into the run's own, under explain/.
    """
    from pathlib import Path

    from morelike.explaining import explain as work
    from morelike.run import Run

    return work(run if isinstance(run, Run) else Path(run), seeds=seeds, directions=directions, given=given)


def info(run: Place | Run) -> dict[str, Any]:
    """What was asked of a run, how it was planned and how far it is."""
    from morelike.run import Run

    return (run if isinstance(run, Run) else load(run)).info()


def catalogue() -> dict[str, dict[str, str]]:
    """Families, nets and codecs by name, with one line each: {"families": {"gan": "...", ...}, ...}."""
    from morelike.recipes import catalogue as known

    return {kind: dict(names) for kind, names in known().items()}


def __getattr__(name: str) -> Any:
    """Import `Run`, `Request` and so on when they are first asked for."""
    if name not in LAZY:
        raise AttributeError(f"module 'morelike' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"morelike.{LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

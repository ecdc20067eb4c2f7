"""The verbs `import` and `export`: a GPT-2 checkpoint becomes a run, and a run a checkpoint that others open."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path | None, typer.Option(metavar="RUN", help="New folder for the run; runs/NAME if not said.")]


def bring(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="config.json, model.safetensors, tokenizer.")],
    out: Out = None,
) -> None:
    """Turn a GPT-2 checkpoint into a run folder, without training.

    \b
    Examples:
      morelike import gpt2/                         the run is runs/gpt2
      morelike import gpt2/ --out runs/first

    \b
    FOLDER is what the transformers library saves: config.json, model.safetensors, and tokenizer.json or vocab.json with
    merges.txt. Nothing in it is executed. To train such a model on a text: morelike fit SOURCE --weights FOLDER.
    """
    from morelike.weights import bring as work

    run = work(folder, out or Path("runs") / folder.resolve().name)
    print(f"run      {run}\n\nTry next:\n  morelike sample {shlex.quote(str(run))} -n 4")


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder for the checkpoint.")],
) -> None:
    """Write a run that has the layout of GPT-2 as a checkpoint that the transformers library opens.

    \b
    Examples:
      morelike export runs/book-autoregressive-1 mine/

    \b
    The run began with --weights of such a checkpoint, or was trained with --set layout=gpt2 --set vocabulary=bpe.
    """
    from morelike.weights import export as work

    for path in work(run, folder):
        print(path)

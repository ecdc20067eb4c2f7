"""Batches as a pure function of seed and step, prepared ahead of training."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from morelike.core.codec import Codec
from morelike.core.errors import DataError
from morelike.core.spec import Batch
from morelike.data.augment import Augment

_AHEAD = 2  # batches prepared ahead


@runtime_checkable
class HasCrop(Protocol):
    """A codec whose stored items are cropped anew for every batch."""

    def crop(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


class HasBatches(Protocol):
    """Gives the batch of any step."""

    def batch(self, step: int) -> Batch: ...


class Loader:
    """Encoded batches of some items.

    x        (N, *stored), such as the memory map of a `Dataset`
    given    conditions by name: int64 (N, ...)
    indices  which of the N items to draw from
    batch    items in a batch
    seed     of the order and of the augmentation

    Every epoch is a permutation of its own; the batch that is left over at its end is filled from the next one.
    """

    def __init__(
        self, x: np.ndarray, given: Mapping[str, np.ndarray], indices: np.ndarray, batch: int, seed: int,
        codec: Codec, augment: Augment | None = None,
    ) -> None:  # fmt: skip
        if not len(indices):
            raise DataError("There is no item to train on", "At least one", "Hold out a smaller share")
        self.x, self.given = np.asarray(x), {name: np.asarray(value) for name, value in given.items()}
        self.indices, self.size, self.seed = np.asarray(indices), batch, seed
        self.count = len(self.indices)
        self.codec, self.augment = codec, augment
        self._crop = codec.crop if isinstance(codec, HasCrop) else None
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def batch(self, step: int) -> Batch:
        """The batch of a step, the same whenever it is asked for."""
        rows = self.rows(step)
        seed = np.random.SeedSequence((self.seed, step, 1)).generate_state(1)[0]
        generator, stored = torch.Generator().manual_seed(int(seed)), torch.from_numpy(self.x[rows])
        x = self.codec.encode(self._crop(stored, generator) if self._crop else stored)
        x = self.augment.apply(x, generator) if self.augment else x
        return Batch(x, {name: torch.from_numpy(value[rows]) for name, value in self.given.items()})

    def typical(self) -> Batch:
        """A batch to measure with."""
        return self.batch(0)

    def rows(self, step: int) -> np.ndarray:
        """Numbers of the items in the batch of a step: (batch,)."""
        begin, count, rows = step * self.size, len(self.indices), []
        end = begin + self.size
        while begin < end:
            epoch, place = divmod(begin, count)
            rows.append(self._order(epoch)[place : place + end - begin])
            begin += len(rows[-1])
        return self.indices[np.concatenate(rows)]

    def iterate(self, start_step: int = 0) -> Prefetch:
        """The batches from a step on, without end, prepared ahead by one background thread."""
        return Prefetch(self, start_step)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.indices))


class Prefetch(Iterator[Batch]):
    """Batches prepared by a thread of their own; `close` ends it, and `stall` counts the seconds waited for it."""

    def __init__(self, loader: HasBatches, start_step: int) -> None:
        self.stall = 0.0
        self._loader, self._step = loader, start_step
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=_AHEAD)
        self._closed = threading.Event()
        self._alone = threading.Event()
        self._thread = threading.Thread(target=self._work, name="loader", daemon=True)
        threads = torch.get_num_threads()
        self._thread.start()
        self._alone.wait()
        torch.set_num_threads(threads)  # what the other thread has set for itself was also the default for new threads

    def __next__(self) -> Batch:
        if self._closed.is_set():
            raise StopIteration
        begin = time.perf_counter()
        ready = self._ready.get()
        self.stall += time.perf_counter() - begin
        if isinstance(ready, BaseException):
            self.close()
            raise ready
        return ready

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed.set()
        while self._thread.is_alive():
            while not self._ready.empty():  # make room for what the thread is about to hand over
                self._ready.get_nowait()
            self._thread.join(0.01)

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        # A second pool of threads beside that of training would make both wait at every barrier, so this thread works
        # alone. The setting belongs to the thread, but only once it has been read there.
        torch.set_num_threads(1)
        torch.get_num_threads()
        self._alone.set()
        while not self._closed.is_set():
            try:
                self._ready.put(self._loader.batch(self._step))
                self._step += 1
            except BaseException as error:  # handed to whoever waits, who would wait for ever otherwise
                self._ready.put(error)
                return

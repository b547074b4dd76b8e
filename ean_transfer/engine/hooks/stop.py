"""Signals that end a training: a checkpoint first, then an exit that says how to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_world_size, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.engine.checkpoints import STOPPED
from ean_transfer.engine.hooks.checkpoints import require_finite, write_last
from ean_transfer.engine.loops import ResumableEpochLoop
from ean_transfer.errors import CheckpointError

# What Slurm and other queues send before they take a machine away, and Ctrl-C. Windows lacks one.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name)
]
_BATCH, _VALIDATE = "batch_in_epoch", "validate_next"  # in a checkpoint's meta


@HOOKS.register_module()
class StopHook(Hook):
    """After SIGTERM, SIGUSR1 or Ctrl-C, saves at the end of the iteration and exits.

    All ranks stop at the same iteration, whichever got the signal. The exit code is 128 plus the
    signal's number, as a shell's: 143 or 130. A second Ctrl-C stops at once. Every checkpoint says
    whether a validation was to follow, and at which batch of an epoch it lies, so that the resumed
    training does what the stopped one would have done.

    Raises:
        SystemExit: A signal has come and the checkpoint is written.
    """

    priority = "LOWEST"  # after the schedule's step and the regular checkpoint

    def __init__(self) -> None:
        self._signal = 0
        self._since = 0.0
        self._saved = self._validated = -1  # iterations
        self._batch = 0  # of the epoch, counted from 1
        self._validate_next = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Enter with the signals noted instead of ending the process; afterwards as before."""
        before = {}
        if threading.current_thread() is threading.main_thread():  # Python allows no other
            before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        # torchrun hands a terminal's Ctrl-C on to processes that have had it a moment ago.
        if number == self._signal == signal.SIGINT and now - self._since > 1.0:
            raise KeyboardInterrupt
        if number == signal.SIGINT and self._signal == 0 and os.environ.get("RANK", "0") == "0":
            line = "\nsaving at the end of this iteration; Ctrl-C again stops at once\n"
            os.write(2, line.encode())  # print() must not be entered from a signal's handler
        if self._signal == 0:
            self._signal, self._since = number, now

    # -- when to stop ------------------------------------------------------------------------

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._batch = batch_idx + 1

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and batch_idx + 1 == len(runner.train_dataloader):
            return  # the schedule's step of the epoch is still to come: see after_train_epoch
        self._stop_if_asked(runner, epoch=runner.epoch, iter=runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._stop_if_asked(runner, epoch=runner.epoch + 1, iter=runner.iter)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        # Ranks may have different numbers of batches; and averaged weights (EMA) are in the place
        # of the trained ones now, so that nothing can be saved.
        if get_world_size() == 1 and self._signal and self._saved == runner.iter:
            self._exit(runner, self._signal)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self._validated = runner.iter

    def after_val(self, runner: Runner) -> None:
        if isinstance(runner._train_loop, BaseLoop):
            self._stop_if_asked(runner, epoch=runner.epoch, iter=runner.iter)

    def _stop_if_asked(self, runner: Runner, **meta: Any) -> None:
        asked = torch.tensor(float(self._signal))
        all_reduce(asked, "max")
        if not asked:
            return
        require_finite(runner)
        runner.save_checkpoint(runner.work_dir, STOPPED, meta=meta, by_epoch=False)
        if is_main_process():
            write_last(runner, os.path.join(runner.work_dir, STOPPED))
        self._exit(runner, int(asked))

    def _exit(self, runner: Runner, number: int) -> None:
        if is_main_process():
            print(
                f"stopped by {signal.Signals(number).name} at iteration {self._saved} of "
                f"{runner.max_iters}, checkpoint in {runner.work_dir}: go on with --resume",
                file=sys.stderr,
            )
        barrier()  # torchrun ends the others as soon as the first has left
        raise SystemExit(128 + number)

    # -- what a checkpoint says of it --------------------------------------------------------

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        meta = checkpoint["meta"]
        self._saved = meta["iter"]
        within = meta["iter"] > runner.iter  # which does not count an iteration before its end
        if within and isinstance(runner.train_loop, EpochBasedTrainLoop):
            meta[_BATCH] = [self._batch, len(runner.train_dataloader)]
        if self._validated != meta["iter"] and _validation_follows(runner, meta):
            meta[_VALIDATE] = True

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if not (runner._resume and isinstance(runner._train_loop, BaseLoop)):
            return
        # In its state_dict lie the averaged weights; EMAHook alone puts the trained ones back.
        averages = any(isinstance(hook, EMAHook) for hook in runner.hooks)
        if "ema_state_dict" in checkpoint and not averages:
            raise CheckpointError(
                f"{runner.work_dir}: the training there averages its weights, expected the same "
                "now, found no EMAHook: resume it with --ema, or with the config that it had"
            )
        meta = checkpoint["meta"]
        self._validate_next = bool(meta.get(_VALIDATE))
        if not isinstance(runner._train_loop, ResumableEpochLoop):
            return
        now = len(runner.train_dataloader)
        if _BATCH not in meta:
            # With other batches, or another number of processes, epochs have other lengths.
            meta["iter"] = meta["epoch"] * now
            return
        done, batches = meta[_BATCH]
        if now != batches:
            raise CheckpointError(
                f"{runner.work_dir}: the training was stopped at batch {done} of {batches} in "
                f"an epoch, expected as many now, found {now}: resume with the batch size, "
                "data and number of processes that it had"
            )
        runner._train_loop.batches_done = done

    def before_train(self, runner: Runner) -> None:
        if self._validate_next and runner.val_loop is not None:
            self._validate_next = False
            runner.val_loop.run()


def _validation_follows(runner: Runner, meta: dict[str, Any]) -> bool:
    """Whether mmengine's loop validates when it has come to where a checkpoint lies."""
    loop = runner.train_loop
    if runner.val_loop is None or _BATCH in meta:
        return False
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    done, end = (meta["epoch"], loop.max_epochs) if by_epoch else (meta["iter"], loop.max_iters)
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)

"""The hooks, seed and environment of all runs."""

from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
)

from ean_transfer.engine.hooks.ticket import TicketHook
from ean_transfer.engine.hooks.progress import ProgressBarHook

default_scope = None
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=CheckpointHook, interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type=DistSamplerSeedHook),
    ticket=dict(type=TicketHook),
    progress=dict(type=ProgressBarHook),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
randomness = dict(seed=0)
log_level = "INFO"

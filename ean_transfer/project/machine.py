"""What the machine has: cores, memory, an accelerator."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Machine:
    """What a training may use.

    Attributes:
        cores: Processor cores that this process may use.
        memory: Bytes of main memory; 0 where the system does not say.
        accelerator: Name of the first CUDA device; empty without one.
        accelerator_memory: Its bytes of memory.
    """

    cores: int
    memory: int
    accelerator: str = ""
    accelerator_memory: int = 0

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        try:
            memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # not on every system
            memory = 0
        if not torch.cuda.is_available():
            return cls(cores or 1, memory)
        device = torch.cuda.get_device_properties(0)
        return cls(cores or 1, memory, device.name, device.total_memory)

    @property
    def workers(self) -> int:
        """Processes that read images: none where the network needs every core itself."""
        return min(8, self.cores) if self.accelerator else (2 if self.cores > 4 else 0)

    def __str__(self) -> str:
        text = f"{self.cores} core{'s' * (self.cores != 1)}"
        if self.memory:
            text += f", {self.memory / 1e9:.0f} GB"
        if self.accelerator:
            return f"{text}, {self.accelerator} with {self.accelerator_memory / 1e9:.0f} GB"
        return f"{text}, no CUDA device"

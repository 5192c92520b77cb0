"""A method that costs next to nothing: its network stays as it was made."""

import torch
from pydantic import Field
from torch import Tensor

from dfgctl.methods.base import Context, Method, random_networks
from dfgctl.settings import PlainSettings


class CheapSettings(PlainSettings):
    steps: int = Field(default=2, gt=0)
    batch_size: int = Field(default=2, gt=1)
    lr: float = Field(default=1e-3, gt=0, lt=10)


class Cheap(Method[CheapSettings]):
    name = "cheap"
    title = "Cheap"
    Settings = CheapSettings
    needs_source = False

    def __init__(self, context: Context, settings: CheapSettings) -> None:
        self.E, self.C = random_networks(context)
        self.replicas = len(context.run_keys)

    def step(self, step: int) -> dict[str, Tensor]:
        return {"loss": torch.ones(self.replicas)}

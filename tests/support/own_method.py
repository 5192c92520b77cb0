"""A method of one's own: plain training on batches in which all classes are as frequent."""

from pydantic import Field
from torch import Tensor

from dfgctl.losses import cross_entropy
from dfgctl.methods.base import Context, Method, optimizer, random_networks
from dfgctl.pack import descend
from dfgctl.settings import PlainSettings, searched


class BalancedSettings(PlainSettings):
    steps: int = Field(default=600, gt=0, description="training steps")
    batch_size: int = Field(default=32, gt=1, description="images in a batch")
    lr: float = searched(around=10, default=1e-2, gt=0, lt=10, description="learning rate")


class BalancedDemo(Method[BalancedSettings]):
    name = "balanced_demo"
    title = "Balanced batches"
    Settings = BalancedSettings
    needs_source = False

    def __init__(self, context: Context, settings: BalancedSettings) -> None:
        self.batches = context.batches
        self.E, self.C = random_networks(context)
        self.optimizers = [optimizer(n, settings.lr, settings) for n in (self.E, self.C)]

    def step(self, step: int) -> dict[str, Tensor]:
        x, y = self.batches.draw_balanced(step, 0)  # (R, B, C, H, W) and (R, B)
        loss = cross_entropy(self.C(self.E(x)), y)  # one number a run, (R,)
        descend(self.optimizers, loss)
        return {"loss": loss.detach()}

"""``difa``: DIFA + cMWGAN in three stages (N01)."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.settings import DifaSettings
from plain.data import Draw
from plain.descent import descend
from plain.given import Given
from plain.networks import FeatureCritic, MixtureGenerator
from plain.penalty import gradient_penalty

HIDDEN = 84
"""Units of LeNet-5's last hidden layer, whose features are generated."""


class PlainDifa:
    """One run of ``difa``."""

    def __init__(self, given: Given, settings: DifaSettings) -> None:
        self.given, self.s = given, settings
        s, k = settings, given.classes
        self.E, self.C = given.source_lenet(bounded=True)
        self.S = given.network(
            lambda: MixtureGenerator(s.components, s.noise, k, s.units, HIDDEN), "S"
        )
        self.D_S = given.network(lambda: FeatureCritic(HIDDEN, k, s.units), "D_S")
        self.D_E = given.network(lambda: FeatureCritic(HIDDEN, 0, s.units), "D_E")
        self.networks: dict[str, nn.Module] = {
            "E": self.E, "C": self.C, "S": self.S, "D_S": self.D_S, "D_E": self.D_E
        }  # fmt: skip
        head = [*self.C.head.parameters()]
        body = [*self.C.conv.parameters(), *self.C.fc1.parameters(), *self.C.fc2.parameters()]
        E = [*self.E.parameters()]
        betas = (s.beta1, s.beta2)
        self.adam_whole = torch.optim.Adam([*E, *body, *head], lr=s.lr, betas=betas)
        self.adam_S = torch.optim.Adam(self.S.parameters(), lr=s.eta_S, betas=betas)
        self.adam_D_S = torch.optim.Adam(self.D_S.parameters(), lr=s.eta_D, betas=betas)
        self.adam_D_E = torch.optim.Adam(self.D_E.parameters(), lr=s.eta_D, betas=betas)
        self.adam_encoder = torch.optim.Adam([*E, *body], lr=s.eta_E, betas=betas)
        self.adam_head = torch.optim.Adam(head, lr=s.eta_H, betas=betas)

        counts = np.bincount(given.labels[given.subset], minlength=k)
        missing = counts.max() - counts
        self.share = float(missing.sum() / counts.sum())
        bounds = missing.cumsum() / max(missing.sum(), 1)
        self.bounds = torch.from_numpy(bounds).to(given.device, given.dtype)
        self.end_0 = round(s.steps * s.share_0)
        self.end_1 = round(s.steps * (s.share_0 + s.share_1))
        self.batches = given.batches(_draws(given.steps, s.n_D, self.end_0, self.end_1))

    def step(self, step: int) -> dict[str, float]:
        """Train one step of the stage that it falls in."""
        if step <= self.end_0:
            return self.train_network()
        if step <= self.end_1:
            return self.train_generator(step)
        return self.adapt(step)

    def train_network(self) -> dict[str, float]:
        """Stage 0: plain training on the target."""
        x, y = next(self.batches)
        loss = F.cross_entropy(self.C(self.E(x)), y)
        return {"loss": descend(self.adam_whole, loss)}

    def train_generator(self, step: int) -> dict[str, float]:
        """Stage 1: S against a critic that sees the class."""
        s = self.s
        for t in range(s.n_D):
            x, y = next(self.batches)
            real, fake = self.features(x).detach(), self.generate(y, step, t).detach()
            hot = self.one_hot(y)
            epsilon = self.epsilon(step, t)
            penalty = gradient_penalty(lambda f, hot=hot: self.D_S(f, hot), real, fake, epsilon)
            loss = self.D_S(fake, hot).mean() - self.D_S(real, hot).mean()
            loss_D = descend(self.adam_D_S, loss + s.gp_lambda * penalty)
        _, y = next(self.batches)
        loss = -self.D_S(self.generate(y, step, s.n_D), self.one_hot(y)).mean()
        return {"L_D_S": loss_D, "L_S": descend(self.adam_S, loss)}

    def adapt(self, step: int) -> dict[str, float]:
        """Stage 2: the encoder against a critic to S's features, the head on balanced ones."""
        s = self.s
        for t in range(s.n_D):
            x, y = next(self.batches)
            real, fake = self.generate(y, step, t).detach(), self.features(x).detach()
            penalty = gradient_penalty(self.D_E, real, fake, self.epsilon(step, t))
            loss = self.D_E(fake).mean() - self.D_E(real).mean() + s.gp_lambda * penalty
            loss_D = descend(self.adam_D_E, loss)
        x, y = next(self.batches)
        loss_E = descend(self.adam_encoder, -self.D_E(self.features(x)).mean())

        u = self.given.uniform("generated labels", step, (s.batch_size,))
        y_hat = torch.searchsorted(self.bounds[:-1], u, right=True)
        real, fake = self.features(x).detach(), self.generate(y_hat, step, s.n_D).detach()
        entropy_r = F.cross_entropy(self.C.head(real), y)
        entropy_g = F.cross_entropy(self.C.head(fake), y_hat)
        loss = (entropy_r + self.share * entropy_g) / (1 + self.share)
        return {"L_D_E": loss_D, "L_E": loss_E, "L_H": descend(self.adam_head, loss)}

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of images, (B, 84)."""
        return self.C.hidden(self.C.conv(self.E(x)))

    def generate(self, y: Tensor, step: int, t: int) -> Tensor:
        """Generate features of classes, (B, 84)."""
        draw = step * (self.s.n_D + 1) + t
        z = self.given.uniform("noise", draw, (len(y), self.s.noise), -1, 1)
        features: Tensor = self.S(z, self.one_hot(y))
        return features

    def epsilon(self, step: int, t: int) -> Tensor:
        """Draw where between real and generated features the gradient is taken, (B,)."""
        return self.given.uniform("interpolation", step * self.s.n_D + t, (self.s.batch_size,))

    def one_hot(self, y: Tensor) -> Tensor:
        """Return classes (B,) as (B, K)."""
        return F.one_hot(y, self.given.classes).to(self.given.dtype)


def _draws(steps: Iterable[int], n_D: int, end_0: int, end_1: int) -> Iterator[Draw]:
    """Yield the batches of each step: one in stage 0, n_D + 1 after, balanced in stage 1."""
    for step in steps:
        for number in range(1 if step <= end_0 else n_D + 1):
            yield Draw(step, number, balanced=end_0 < step <= end_1)

"""``dfg``: Algorithm 1, line by line."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfgctl.settings import DfgSettings, RegSettings
from plain.attention import filter_weights
from plain.data import Draw
from plain.descent import descend
from plain.given import Given
from plain.networks import Discriminator, Generator
from plain.penalty import gradient_penalty
from plain.regulariser import Regulariser


class PlainDfg:
    """One run of ``dfg``."""

    def __init__(self, given: Given, settings: DfgSettings, reg: RegSettings) -> None:
        self.given, self.s = given, settings
        self.E, self.C = given.source_lenet()  # line 1
        self.G = given.network(lambda: Generator(settings.noise, given.classes), "G")
        self.D = given.network(Discriminator, "D")
        self.networks: dict[str, nn.Module] = {"E": self.E, "C": self.C, "G": self.G, "D": self.D}
        betas = (settings.beta1, settings.beta2)
        self.adam_E = torch.optim.Adam(self.E.parameters(), lr=settings.eta_E, betas=betas)
        self.adam_C = torch.optim.Adam(self.C.parameters(), lr=settings.eta_C, betas=betas)
        self.adam_G = torch.optim.Adam(self.G.parameters(), lr=settings.eta_G, betas=betas)
        self.adam_D = torch.optim.Adam(self.D.parameters(), lr=settings.eta_D, betas=betas)

        self.regulariser = Regulariser(given, reg)
        E_S, C_S = self.regulariser.E_S, self.regulariser.C_S
        images = given.all_images(settings.weight_images)
        self.W_source = filter_weights(E_S, C_S, images, given.classes)  # line 2
        self.W_star = torch.where(self.W_source > settings.delta, self.W_source, 0.0)  # 3, 4
        self.batches = given.batches(_draws(given.steps, settings.n_D))

    def step(self, step: int) -> dict[str, float]:
        """Train one step: lines 6 to 25."""
        s, losses = self.s, {}
        for t in range(s.n_D):
            x, _ = next(self.batches)  # line 7
            z, y_hat = self.noise(step, t)  # line 8
            real, fake = self.E(x).detach(), self.generate(z, y_hat).detach()
            epsilon = self.given.uniform("interpolation", step * s.n_D + t, (s.batch_size,))
            penalty = gradient_penalty(self.D, real, fake, epsilon)
            loss = self.D(fake).mean() - self.D(real).mean() + s.gp_lambda * penalty  # Eq. 1
            losses["L_D"] = descend(self.adam_D, loss)  # line 9

        z, y_hat = self.noise(step, s.n_D)  # line 10
        x, y = next(self.batches)  # line 11
        loss = -self.D(self.generate(z, y_hat)).mean()  # Eq. 2
        losses["L_G"] = descend(self.adam_G, loss)  # line 12
        if step % s.n_C1 == 0 or step % s.n_C2 == 0:
            source_features, source_conv = self.regulariser.source_maps(x)

        if step % s.n_C1 == 0:  # line 13
            real = self.E(x).detach()
            loss = self.joint_loss(real, y, self.generate(z, y_hat), y_hat)  # line 14
            losses["L_C^c"] = descend(self.adam_G, loss)  # line 15
            features = self.E(x)
            loss = F.cross_entropy(self.C(features), y)  # Eq. 3
            loss = loss + self.regulariser.of_E(features, source_features)
            losses["L_E"] = descend(self.adam_E, loss)  # line 16
            loss = self.real_loss(self.E(x).detach(), y, source_conv)  # Eq. 4a
            losses["L_C^r"] = descend(self.adam_C, loss)  # line 17

        if step % s.n_C2 == 0:  # line 18
            real, fake = self.E(x).detach(), self.generate(z, y_hat).detach()
            joint = self.joint_loss(real, y, fake, y_hat)  # line 19
            generated = F.cross_entropy(self.C(fake), y_hat)  # Eq. 4b
            loss = s.alpha * self.real_loss(real, y, source_conv)
            loss = loss + s.beta * generated + s.gamma * joint  # Eq. 4
            losses["L_C^g"] = generated.item()
            losses["L_C"] = descend(self.adam_C, loss)  # line 20

        if step % s.n_W == 0:  # line 21
            images = self.given.all_images(s.weight_images)
            target = filter_weights(self.E, self.C, images, self.given.classes)  # line 22
            mixed = s.rho * self.W_source + (1 - s.rho) * target  # Eq. 7
            self.W_star = torch.where(mixed > s.delta, mixed, 0.0)  # lines 23 to 25
        return losses

    def noise(self, step: int, t: int) -> tuple[Tensor, Tensor]:
        """Draw noise (B, noise) on [-1, 1] and labels (B,)."""
        draw = step * (self.s.n_D + 1) + t
        z = self.given.uniform("noise", draw, (self.s.batch_size, self.s.noise), -1, 1)
        return z, self.given.random_labels(draw)

    def generate(self, z: Tensor, y_hat: Tensor) -> Tensor:
        """Generate features of the classes, weighed by W*."""
        one_hot = F.one_hot(y_hat, self.given.classes).to(z.dtype)
        features: Tensor = self.G(z, one_hot, self.W_star[y_hat])
        return features

    def joint_loss(self, real: Tensor, y: Tensor, fake: Tensor, y_hat: Tensor) -> Tensor:
        """Eq. 4c."""
        return F.cross_entropy(self.C(torch.cat([real, fake])), torch.cat([y, y_hat]))

    def real_loss(self, real: Tensor, y: Tensor, source_conv: Tensor) -> Tensor:
        """Eq. 4a with C's regulariser."""
        conv = self.C.conv(real)
        entropy = F.cross_entropy(self.C.head(self.C.hidden(conv)), y)
        return entropy + self.regulariser.of_C(conv, source_conv, self.C.head)


def _draws(steps: Iterable[int], n_D: int) -> Iterator[Draw]:
    """Yield the real batches of each step: n_D for the critic and one for the rest."""
    for step in steps:
        for number in range(n_D + 1):
            yield Draw(step, number)

"""``difa``: adversarial feature augmentation with a conditional mixture WGAN (DIFA + cMWGAN)."""

from collections.abc import Hashable

import torch
from torch import Tensor

from dfgctl.draws import Stream
from dfgctl.losses import critic_loss, cross_entropy, generator_loss, gradient_penalty
from dfgctl.methods.base import (
    Context,
    Method,
    Schedule,
    adam,
    one_hot,
    optimizer,
    source_networks,
)
from dfgctl.networks.backbones import seeded
from dfgctl.networks.feature_gan import FeatureCritic, MixtureGenerator
from dfgctl.pack import Replicated, descend
from dfgctl.settings import DifaSettings


class Difa(Method[DifaSettings]):
    """DIFA (Volpi et al. 2018) with a conditional mixture WGAN (Zhang et al. 2019).

    An interpretation (N01): the paper names the two methods and gives no architecture. Features
    are those of the last hidden layer, bounded by tanh. The encoder is all before the head.

    0. The network starts from the source's weights and is trained on the target.
    1. S learns the features by WGAN-GP, from batches balanced over the classes; its critic sees the
       class.
    2. The encoder is adapted against a critic that tells S's features from its own, both with the
       classes of the real batch; the head learns from real features together with those that S
       generates for the minority classes, weighed so that the classes are balanced.

    Departures: N01, F22; F09, F14, F16, F27 and F29 can be read both ways.
    """

    name = "difa"
    title = "DIFA + cMWGAN"
    Settings = DifaSettings
    bounded = True

    def __init__(self, context: Context, settings: DifaSettings) -> None:
        self.settings = settings
        self.classes = context.classes
        self.batches, self.clock = context.batches, context.clock
        self.head = context.backbone.head
        keys, hidden, k = context.run_keys, context.backbone.hidden, context.classes
        device = self.batches.device
        self.noise = Stream(keys, "noise", device)
        self.labels = Stream(keys, "generated labels", device)
        self.epsilon = Stream(keys, "interpolation", device)

        self.end_0 = round(settings.steps * settings.share_0)
        self.end_1 = round(settings.steps * (settings.share_0 + settings.share_1))

        self.E, self.C = source_networks(context)
        s = settings

        def make_s() -> torch.nn.Module:
            return MixtureGenerator(s.components, s.noise, k, s.units, hidden)

        def make_d_s() -> torch.nn.Module:
            return FeatureCritic(hidden, k, s.units)

        def make_d_e() -> torch.nn.Module:
            return FeatureCritic(hidden, 0, s.units)

        self.S = context.place(Replicated([seeded(make_s, key, "S") for key in keys]))
        self.D_S = context.place(Replicated([seeded(make_d_s, key, "D_S") for key in keys]))
        self.D_E = context.place(Replicated([seeded(make_d_e, key, "D_E") for key in keys]))
        self.whole = [optimizer(n, s.lr, s) for n in (self.E, self.C)]
        self.schedule = Schedule(s.lr_decay_step, *self.whole)
        self.adam_S = adam(self.S, s.eta_S, s)
        self.adam_D_S, self.adam_D_E = adam(self.D_S, s.eta_D, s), adam(self.D_E, s.eta_D, s)
        self.encoder = [
            optimizer(self.E, s.eta_E, s),
            optimizer(self.C, s.eta_E, s, wanted=lambda name: not name.startswith(self.head)),
        ]
        self.head_optimizer = optimizer(
            self.C, s.eta_H, s, wanted=lambda name: name.startswith(self.head)
        )

        # Of which classes S generates, and how much, for all classes to weigh the same.
        counts = self.batches.class_counts(k).to(self.batches.dtype)  # (R, K)
        missing = counts.amax(1, keepdim=True) - counts
        self.share = missing.sum(1) / counts.sum(1)  # generated to real
        self.cumulative = missing.cumsum(1) / missing.sum(1, keepdim=True).clamp(min=1)

    def phase(self, step: int) -> Hashable:
        """Return the step's stage, and in stage 0 that of the rates."""
        if step <= self.end_0:
            return 0, self.schedule.stage(step)
        return 1 if step <= self.end_1 else 2

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step of the stage that it falls in."""
        now = self.clock.at(step)
        if step <= self.end_0:
            self.schedule.at(step)
            return self._train_network(now)
        if step <= self.end_1:
            return self._train_generator(now)
        return self._adapt(now)

    def _train_network(self, now: int | Tensor) -> dict[str, Tensor]:
        """Stage 0: plain training on the target."""
        x, y = self.batches.draw(now, 0)
        loss = cross_entropy(self.C(self.E(x)), y)
        descend(self.whole, loss)
        return {"loss": loss.detach()}

    def _train_generator(self, now: int | Tensor) -> dict[str, Tensor]:
        """Stage 1: S against a critic that sees the class; the network rests."""
        for network in (self.E, self.C):
            network.eval()
        for t in range(self.settings.n_D):
            x, y = self.batches.draw_balanced(now, t)
            with torch.no_grad():
                real, generated = self._features(x), self._generate(y, now, t)
            loss_D = self._update_critic(self.D_S, self.adam_D_S, real, generated, now, t, y)
        _, y = self.batches.draw_balanced(now, self.settings.n_D)
        generated = self._generate(y, now, self.settings.n_D)
        loss_S = generator_loss(self.D_S(generated, self._hot(y)))
        descend(self.adam_S, loss_S)
        self.training_mode()
        return {"L_D_S": loss_D, "L_S": loss_S.detach()}

    def _adapt(self, now: int | Tensor) -> dict[str, Tensor]:
        """Stage 2: the encoder against a critic to S's features, the head on balanced features."""
        for t in range(self.settings.n_D):
            x, y = self.batches.draw(now, t)
            with torch.no_grad():
                encoded, generated = self._features(x), self._generate(y, now, t)
            loss_D = self._update_critic(self.D_E, self.adam_D_E, generated, encoded, now, t)
        x, y = self.batches.draw(now, self.settings.n_D)
        loss_E = generator_loss(self.D_E(self._features(x)))
        descend(self.encoder, loss_E)

        with torch.no_grad():
            real = self._features(x)
            y_hat = self._missing_labels(now)
            generated = self._generate(y_hat, now, self.settings.n_D)
        entropy_r = cross_entropy(self._head(real), y)
        entropy_g = cross_entropy(self._head(generated), y_hat)
        loss_H = (entropy_r + self.share * entropy_g) / (1 + self.share)
        descend(self.head_optimizer, loss_H)
        return {"L_D_E": loss_D, "L_E": loss_E.detach(), "L_H": loss_H.detach()}

    def _update_critic(
        self,
        critic: Replicated,
        adam_D: torch.optim.Optimizer,
        real: Tensor,
        generated: Tensor,
        now: int | Tensor,
        t: int,
        y: Tensor | None = None,
    ) -> Tensor:
        """One WGAN-GP update of a critic, which sees the classes y if they are given."""
        seen = () if y is None else (self._hot(y),)
        draw = now * self.settings.n_D + t
        epsilon = self.epsilon.uniform(draw, real.shape[1:2], dtype=self.batches.dtype)
        penalty = gradient_penalty(
            lambda f: critic(f, *seen, gradient=True), real, generated, epsilon
        )
        scores = critic(real, *seen), critic(generated, *seen)
        loss = critic_loss(*scores, penalty, self.settings.gp_lambda)
        descend(adam_D, loss)
        return loss.detach()

    def _features(self, x: Tensor) -> Tensor:
        """The encoder's features of images, (R, B, hidden)."""
        _, hidden = self.C(self.E(x), hidden=True)
        features: Tensor = hidden
        return features

    def _generate(self, y: Tensor, now: int | Tensor, t: int) -> Tensor:
        """S's features of classes, (R, B, hidden)."""
        s = self.settings
        draw = now * (s.n_D + 1) + t
        z = self.noise.uniform(draw, (y.shape[1], s.noise), -1, 1, self.batches.dtype)
        generated: Tensor = self.S(z, self._hot(y))
        return generated

    def _missing_labels(self, now: int | Tensor) -> Tensor:
        """Draw classes by how many images they lack, (R, B)."""
        u = self.labels.uniform(now, (self.settings.batch_size,), dtype=self.batches.dtype)
        return (u[..., None] >= self.cumulative[:, None, :-1]).sum(2)

    def _head(self, features: Tensor) -> Tensor:
        """Classify features by the head alone: logits (R, B, K)."""
        weight = self.C.tensor(f"{self.head}.weight")  # (R, K, hidden)
        bias = self.C.tensor(f"{self.head}.bias")
        return features @ weight.transpose(1, 2) + bias[:, None]

    def _hot(self, y: Tensor) -> Tensor:
        return one_hot(y, self.classes, self.batches.dtype)

    def networks(self) -> dict[str, Replicated]:
        """Return the network, S and both critics."""
        return {"E": self.E, "C": self.C, "S": self.S, "D_S": self.D_S, "D_E": self.D_E}

"""``dfg``: discriminative feature generation, Algorithm 1 line by line."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dfgctl.attention import filter_weights, mixed_weights, thresholded
from dfgctl.draws import Stream
from dfgctl.losses import (
    classifier_loss,
    critic_loss,
    cross_entropy,
    generator_loss,
    gradient_penalty,
)
from dfgctl.methods.base import Context, Method, adam, source_networks
from dfgctl.methods.regulariser import Regulariser
from dfgctl.networks.backbones import seeded
from dfgctl.networks.discriminator import DISCRIMINATORS
from dfgctl.networks.generator import GENERATORS
from dfgctl.pack import Replicated, descend
from dfgctl.settings import DfgSettings, RegSettings

WEIGHT_CHUNK = 512
"""Images of a replica whose filter weights are computed at a time."""


class Dfg(Method[DfgSettings]):
    """DFG: generator G, discriminator D, feature extractor E and feature classifier C.

    Lines 14, 15 and 19 use the batch and the noise of lines 10 and 11, as Algorithm 1 prints it;
    features are computed anew after each update.

    Departures: F01 to F08, F10 to F13, F17 to F26 and F28, each in the reading ``paper``.
    """

    def __init__(self, context: Context, settings: DfgSettings, reg: RegSettings) -> None:
        self.settings = settings
        self.context = context
        self.batches = context.batches
        device = self.batches.images.pixels.device
        keys = context.run_keys
        self.noise = Stream(keys, "noise", device)
        self.labels = Stream(keys, "generated labels", device)
        self.epsilon = Stream(keys, "interpolation", device)

        # Line 1: E and C start from the source's weights, G and D from random ones.
        self.E, self.C = source_networks(context)
        make_g, make_d = GENERATORS[context.backbone.name], DISCRIMINATORS[context.backbone.name]
        self.G = context.place(
            Replicated(
                [seeded(lambda: make_g(settings.noise, context.classes), k, "G") for k in keys]
            )
        )
        self.D = context.place(Replicated([seeded(make_d, k, "D") for k in keys]))
        self.adam_E = adam(self.E, settings.eta_E, settings)
        self.adam_C = adam(self.C, settings.eta_C, settings)
        self.adam_G = adam(self.G, settings.eta_G, settings)
        self.adam_D = adam(self.D, settings.eta_D, settings)

        # Lines 2 to 4: the filter weights of the source on the target's images.
        self.regulariser = Regulariser(context, reg)
        self.W_source = self._filter_weights(self.regulariser.E_S, self.regulariser.C_S)
        self.W = self.W_source  # (R, K, n_f), before the threshold
        self.W_star = thresholded(self.W, settings.delta)
        self.history = [(0, self.W)]

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step: lines 6 to 25."""
        s = self.settings
        losses: dict[str, Tensor] = {}

        for t in range(s.n_D):
            x, _ = self.batches.draw(step, t)  # line 7
            z, y_hat = self._noise(step, t)  # line 8
            losses["L_D"] = self._update_D(x, z, y_hat, step, t)  # line 9
        z, y_hat = self._noise(step, s.n_D)  # line 10
        x, y = self.batches.draw(step, s.n_D)  # line 11
        loss = generator_loss(self.D(self._generate(z, y_hat)))  # Eq. 2
        losses["L_G"] = self._descend(self.adam_G, loss)  # line 12

        if step % s.n_C1 == 0:  # line 13
            loss = self._joint_loss(self._real(x), y, self._generate(z, y_hat), y_hat)  # line 14
            losses["L_C^c"] = self._descend(self.adam_G, loss)  # line 15
            source_maps = self.regulariser.source_maps(x)
            loss = self._extractor_loss(x, y, source_maps)  # Eq. 3
            losses["L_E"] = self._descend(self.adam_E, loss)  # line 16
            loss = self._real_loss(self._real(x), y, source_maps)  # Eq. 4a
            losses["L_C^r"] = self._descend(self.adam_C, loss)  # line 17

        if step % s.n_C2 == 0:  # line 18
            with torch.no_grad():
                real, generated = self._real(x), self._generate(z, y_hat)
            joint = self._joint_loss(real, y, generated, y_hat)  # line 19
            entropy_r = self._real_loss(real, y, self.regulariser.source_maps(x))  # Eq. 4a
            entropy_g = cross_entropy(self.C(generated), y_hat)  # Eq. 4b
            loss = classifier_loss(entropy_r, entropy_g, joint, s.alpha, s.beta, s.gamma)  # Eq. 4
            losses["L_C^g"] = entropy_g.detach()
            losses["L_C"] = self._descend(self.adam_C, loss)  # line 20

        if step % s.n_W == 0:  # line 21
            self._update_weights(step)  # lines 22 to 25
        return losses

    def _update_D(self, x: Tensor, z: Tensor, y_hat: Tensor, step: int, t: int) -> Tensor:
        """Line 9: D goes down Eq. 1 once."""
        with torch.no_grad():
            real, generated = self.E(x), self._generate(z, y_hat)
        epsilon = self.epsilon.uniform(
            step * self.settings.n_D + t, y_hat.shape[1:], dtype=real.dtype
        )
        penalty = gradient_penalty(self.D, real, generated, epsilon)
        # One call for both: D treats each image alone.
        scores = self.D(torch.cat([real, generated], dim=1))
        score_r, score_g = scores.split(y_hat.shape[1], dim=1)
        loss = critic_loss(score_r, score_g, penalty, self.settings.gp_lambda)
        return self._descend(self.adam_D, loss)

    def _extractor_loss(self, x: Tensor, y: Tensor, source_maps: tuple[Tensor, ...]) -> Tensor:
        """Eq. 3 and E's own regulariser (F11)."""
        features = self.E(x)
        omega = self.regulariser.extractor_term(features, source_maps)
        return cross_entropy(self.C(features), y) + omega

    def _real_loss(self, real: Tensor, y: Tensor, source_maps: tuple[Tensor, ...]) -> Tensor:
        """Eq. 4a and C's own regulariser (F11)."""
        logits, *maps = self.C(real, maps=True)
        omega = self.regulariser.classifier_term(self.C, tuple(maps), source_maps)
        return cross_entropy(logits, y) + omega

    def _joint_loss(self, real: Tensor, y: Tensor, generated: Tensor, y_hat: Tensor) -> Tensor:
        """Eq. 4c: cross-entropy of real and generated features, concatenated."""
        x_tilde = torch.cat([real, generated], dim=1)  # (R, 2B, C, H, W)
        return cross_entropy(self.C(x_tilde), torch.cat([y, y_hat], dim=1))

    @torch.no_grad()
    def _real(self, x: Tensor) -> Tensor:
        """E's features where only later networks learn from them."""
        features: Tensor = self.E(x)
        return features

    def _generate(self, z: Tensor, y_hat: Tensor) -> Tensor:
        """Eq. 9: G's features, weighed by W* of each class."""
        hot = one_hot(y_hat, self.context.classes).to(z.dtype)  # (R, B, K)
        generated: Tensor = self.G(z, hot, hot @ self.W_star)
        return generated

    def _noise(self, step: int, t: int) -> tuple[Tensor, Tensor]:
        """Noise uniform on [-1, 1], (R, B, noise), and classes uniform over all, (R, B) (F20)."""
        s = self.settings
        draw = step * (s.n_D + 1) + t
        z = self.noise.uniform(draw, (s.batch_size, s.noise), -1, 1, self.batches.dtype)
        return z, self.labels.integers(draw, (s.batch_size,), self.context.classes)

    def _update_weights(self, step: int) -> None:
        """Lines 22 to 25: the target's filter weights, mixed with the source's (Eq. 7)."""
        for network in (self.E, self.C):
            network.eval()  # F28
        target = self._filter_weights(self.E, self.C)
        for network in (self.E, self.C):
            network.train()
        self.W = mixed_weights(self.W_source, target, self.settings.rho)
        self.W_star = thresholded(self.W, self.settings.delta)
        self.history.append((step, self.W))

    def _filter_weights(self, extractor: Replicated, classifier: Replicated) -> Tensor:
        """Eq. 5 and 6 on the training subset (F13)."""
        return filter_weights(
            extractor,
            classifier,
            f"E.{self.context.backbone.filter_layer}",
            self.batches.sweep(WEIGHT_CHUNK, self.settings.weight_images),
            self.context.classes,
        )

    @staticmethod
    def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
        descend(optimizer, loss)
        return loss.detach()

    def networks(self) -> dict[str, Replicated]:
        """Return the four networks."""
        return {"E": self.E, "C": self.C, "G": self.G, "D": self.D}

    def extra_state(self, replica: int) -> dict[str, Tensor]:
        """Return the filter weights: W*, W(E_S), and W after each update with its step."""
        return {
            "W_star": self.W_star[replica],
            "W_source": self.W_source[replica],
            "W_history": torch.stack([w[replica] for _, w in self.history]),
            "W_history_steps": torch.tensor([step for step, _ in self.history]),
        }

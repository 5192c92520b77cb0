"""``dfg``: discriminative feature generation, Algorithm 1 line by line."""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dfgctl.attention import filter_weights, mixed_weights, thresholded
from dfgctl.data.batches import Batches
from dfgctl.draws import Stream
from dfgctl.losses import (
    classifier_loss,
    critic_loss,
    cross_entropy,
    generator_loss,
    gradient_penalty,
)
from dfgctl.methods.base import (
    Context,
    Method,
    Schedule,
    adam,
    one_hot,
    optimizer,
    source_networks,
)
from dfgctl.methods.regulariser import Maps, Regulariser
from dfgctl.networks.backbones import seeded
from dfgctl.networks.discriminator import discriminator
from dfgctl.networks.generator import generator
from dfgctl.numerics import numerics
from dfgctl.pack import Replicated, descend
from dfgctl.settings import DfgSettings, RegSettings

RELEASED_THRESHOLDS = (0.90, 0.95)
"""Of the first filter weights and of later ones (F03)."""

RELEASED_GATE = 0.05
"""E's last loss must be below it for an update of the filter weights (F07)."""

RELEASED_IMAGES = 10
"""Images of each class behind the filter weights (F13)."""

RELEASED_ADDED = 1e-16
"""What is added to the gradient in the penalty (F23)."""


class Dfg(Method[DfgSettings]):
    """DFG: generator G, discriminator D, feature extractor E and feature classifier C.

    Lines 14, 15 and 19 use the batch and the noise of lines 10 and 11, as Algorithm 1 prints it;
    features are computed anew after each update. On ResNet-50 E and C go down by SGD, and their
    batch norms' statistics move in every pass of training, generated features included (N03).

    Departures: F02, F10, F17, F18, F20 to F22, F25, F26, F30, N02 and N03; F01, F03 to F09, F11 to
    F16, F19, F23, F24 and F27 to F29 can be read both ways.
    """

    name = "dfg"
    title = "DFG"
    Settings = DfgSettings
    sections = ("reg",)
    aside = ("history",)

    def __init__(self, context: Context, settings: DfgSettings, reg: RegSettings) -> None:
        self.settings = settings
        self.context = context
        self.batches = context.batches
        self.readings = readings = context.readings
        self.window = self.batches.renamed("window")  # F12
        keys, backbone = context.run_keys, context.backbone
        self.noise = Stream(keys, "noise", self.batches.device)
        self.labels = Stream(keys, "generated labels", self.batches.device)
        self.epsilon = Stream(keys, "interpolation", self.batches.device)

        # Line 1: E and C start from the source's weights, G and D from random ones.
        self.E, self.C = source_networks(context)
        name, split = backbone.name, backbone.split

        def make_g() -> torch.nn.Module:
            return generator(name, split, settings.noise, context.classes, readings)

        def make_d() -> torch.nn.Module:
            return discriminator(name, split, readings)

        self.G = context.place(Replicated([seeded(make_g, k, "G") for k in keys]))
        self.D = context.place(Replicated([seeded(make_d, k, "D") for k in keys]))
        self.optimizer_E = optimizer(self.E, settings.eta_E, settings)
        self.optimizer_C = optimizer(self.C, settings.eta_C, settings)
        self.adam_G = adam(self.G, settings.eta_G, settings)
        self.adam_D = adam(self.D, settings.eta_D, settings)
        self.schedule = Schedule(settings.lr_decay_step, self.optimizer_E, self.optimizer_C)

        # Lines 2 to 4: the filter weights of the source on the target's images.
        self.regulariser = Regulariser(context, reg, opposite="F01" in readings)
        first = context.first_batches or self.batches  # F15
        self.W_source = self._filter_weights(self.regulariser.E_S, self.regulariser.C_S, first, 0)
        self.W = self.W_source  # (R, K, n_f), before the threshold
        self.W_star = self._selected(first=True)
        everywhere = torch.ones(len(keys), dtype=torch.bool, device=self.batches.device)
        self.history = [(0, self.W, everywhere)]
        # Of the losses' type: a step writes its own into this memory.
        self.loss_E = torch.full(
            (len(keys),), float("inf"), dtype=self.batches.dtype, device=self.batches.device
        )

    def phase(self, step: int) -> Hashable | None:
        """Return which of lines 13 and 18 hold and the stage of the rates; None if line 21 does."""
        s = self.settings
        if step % s.n_W == 0:
            return None  # it goes through all images, and may look at losses
        return step % s.n_C1 == 0, step % s.n_C2 == 0, self.schedule.stage(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Train one step: lines 6 to 25."""
        s = self.settings
        self.schedule.at(step)
        now = self.context.clock.at(step)
        losses: dict[str, Tensor] = {}

        for t in range(s.n_D):
            x, _ = self._critic_batch(now, t)  # line 7
            z, y_hat = self._noise(now, t)  # line 8
            losses["L_D"] = self._update_D(x, z, y_hat, now, t)  # line 9
        z, y_hat = self._noise(now, s.n_D)  # line 10
        x, y = self._real_batch(now)  # line 11
        loss = generator_loss(self.D(self._generate(z, y_hat)))  # Eq. 2
        losses["L_G"] = self._descend(self.adam_G, loss)  # line 12
        if step % s.n_C1 == 0 or step % s.n_C2 == 0:
            source_maps = self.regulariser.source_maps(x)

        if step % s.n_C1 == 0:  # line 13
            loss = self._joint_loss(self._real(x), y, self._generate(z, y_hat), y_hat)  # line 14
            losses["L_C^c"] = self._descend(self.adam_G, loss)  # line 15
            losses |= self._update_E_and_C(x, y, source_maps)  # lines 16 and 17

        if step % s.n_C2 == 0:  # line 18
            with torch.no_grad():
                real, generated = self._real(x), self._generate(z, y_hat)
            joint = self._joint_loss(real, y, generated, y_hat)  # line 19
            entropy_r = self._real_loss(real, y, source_maps)  # Eq. 4a
            entropy_g = cross_entropy(self.C(generated), y_hat)  # Eq. 4b
            loss = classifier_loss(entropy_r, entropy_g, joint, s.alpha, s.beta, s.gamma)  # Eq. 4
            losses["L_C^g"] = entropy_g.detach()
            losses["L_C"] = self._descend(self.optimizer_C, loss)  # line 20

        if step % s.n_W == 0:  # line 21
            self._update_weights(step)  # lines 22 to 25
        return losses

    def _update_D(self, x: Tensor, z: Tensor, y_hat: Tensor, now: int | Tensor, t: int) -> Tensor:
        """Line 9: D goes down Eq. 1 once."""
        with torch.no_grad():
            real, generated = self.E(x), self._generate(z, y_hat)
        draw = now * self.settings.n_D + t
        epsilon = self.epsilon.uniform(draw, y_hat.shape[1:], dtype=self.batches.dtype)
        added = RELEASED_ADDED if "F23" in self.readings else 0.0
        slope = partial(self.D, gradient=True)
        penalty = gradient_penalty(slope, real, generated, epsilon, added)
        loss = critic_loss(self.D(real), self.D(generated), penalty, self.settings.gp_lambda)
        return self._descend(self.adam_D, loss)

    def _update_E_and_C(
        self, x: Tensor, y: Tensor, source_maps: tuple[Maps, Maps]
    ) -> dict[str, Tensor]:
        """Lines 16 and 17: E goes down Eq. 3, then C down Eq. 4a (F11)."""
        if "F11" in self.readings:
            features = self.E(x)
            logits, *maps = self.C(features, maps=True)
            entropy = cross_entropy(logits, y)
            loss_E = entropy + self.regulariser.extractor_term((features,), source_maps)
            loss_C = entropy + self.regulariser.classifier_term(self.C, tuple(maps), source_maps)
            descend((self.optimizer_E, self.optimizer_C), loss_E + loss_C)
        else:
            features = self.E(x)
            omega = self.regulariser.extractor_term((features,), source_maps)
            loss_E = cross_entropy(self.C(features), y) + omega  # Eq. 3
            descend(self.optimizer_E, loss_E)
            loss_C = self._real_loss(self._real(x), y, source_maps)  # Eq. 4a
            descend(self.optimizer_C, loss_C)
        self.loss_E.copy_(loss_E.detach())
        return {"L_E": loss_E.detach(), "L_C^r": loss_C.detach()}

    def _real_loss(self, real: Tensor, y: Tensor, source_maps: tuple[Maps, Maps]) -> Tensor:
        """Eq. 4a and C's own regulariser."""
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
        hot = one_hot(y_hat, self.context.classes, z.dtype)  # (R, B, K)
        with numerics(z.device):  # a choice of rows, not a product to be rounded
            weights = hot @ self.W_star
        generated: Tensor = self.G(z, hot, weights)
        return generated

    def _critic_batch(self, now: int | Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Draw a real batch for the critic's update t (F12)."""
        if "F12" in self.readings:
            return self.window.draw(now - 1 + t, 0)
        return self.batches.draw(now, t)

    def _real_batch(self, now: int | Tensor) -> tuple[Tensor, Tensor]:
        """Draw the real batch of lines 11 to 20 (F12)."""
        if "F12" in self.readings:
            return self._critic_batch(now, 0)
        return self.batches.draw(now, self.settings.n_D)

    def _noise(self, now: int | Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Noise uniform on [-1, 1], (R, B, noise), and classes uniform over all, (R, B) (F20)."""
        s = self.settings
        draw = now * (s.n_D + 1) + t
        z = self.noise.uniform(draw, (s.batch_size, s.noise), -1, 1, self.batches.dtype)
        return z, self.labels.integers(draw, (s.batch_size,), self.context.classes)

    def _update_weights(self, step: int) -> None:
        """Lines 22 to 25: the target's filter weights, mixed with the source's (Eq. 7)."""
        update = torch.ones_like(self.loss_E, dtype=torch.bool)
        if "F07" in self.readings:
            update = self.loss_E < RELEASED_GATE
            if not bool(update.any()):
                return
        if "F28" not in self.readings:
            for network in (self.E, self.C):
                network.eval()
        with self.E.buffers_kept(~update), self.C.buffers_kept(~update):
            target = self._filter_weights(self.E, self.C, self.batches, step)
        self.training_mode()
        rho = 0.0 if "F06" in self.readings else self.settings.rho
        chosen = update[:, None, None]
        self.W = torch.where(chosen, mixed_weights(self.W_source, target, rho), self.W)
        self.W_star.copy_(torch.where(chosen, self._selected(first=False), self.W_star))
        self.history.append((step, self.W, update))

    def _selected(self, first: bool) -> Tensor:
        """W*: the weights above the threshold (F03), on the scale of F04."""
        delta = self.settings.delta
        if "F03" in self.readings:
            delta = RELEASED_THRESHOLDS[0 if first else 1]
        kept = thresholded(self.W, delta)
        return kept / kept.shape[2] if "F04" in self.readings else kept

    def _filter_weights(
        self, extractor: Replicated, classifier: Replicated, batches: Batches, update: int
    ) -> Tensor:
        """Eq. 5 and 6 on the training subset (F13)."""
        chunk = self.context.backbone.weight_chunk
        if "F13" in self.readings:
            sweep = batches.sweep(chunk, RELEASED_IMAGES, shuffle=update)
        else:
            sweep = batches.sweep(chunk, self.settings.weight_images)
        return filter_weights(
            extractor,
            classifier,
            f"E.{self.context.backbone.filter_layer}",
            sweep,
            self.context.classes,
            sign=-1 if "F01" in self.readings else 1,
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
        own = self._own_history(replica)
        return {
            "W_star": self.W_star[replica].clone(),
            "W_source": self.W_source[replica],
            "W_history": torch.stack([w for _, w in own]),
            "W_history_steps": torch.tensor([step for step, _ in own]),
        }

    def _own_history(self, replica: int) -> list[tuple[int, Tensor]]:
        """Return the steps at which a replica's W was updated, with W, (K, n_f)."""
        return [(step, w[replica]) for step, w, updated in self.history if updated[replica]]

    def saved_aside(self, replica: int) -> dict[str, Any]:
        """Return a replica's own updates: its pack's others had some at other steps (F07)."""
        return {"history": self._own_history(replica)}

    def restore_aside(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Bring the replicas' updates together by step."""
        own: list[dict[int, Tensor]] = [dict(one["history"]) for one in saved]
        device = self.batches.device
        self.history = []
        for step in sorted({step for updates in own for step in updates}):
            updated = torch.tensor([step in updates for updates in own], device=device)
            rows = [
                updates[step].to(device) if step in updates else self.history[-1][1][r]
                for r, updates in enumerate(own)
            ]
            self.history.append((step, torch.stack(rows), updated))

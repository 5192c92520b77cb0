"""Algorithm 1 for one run, written as plainly as it can be: ordinary modules, ``backward``, loops.

An oracle for ``dfgctl.methods.dfg``: it shares nothing with it but the networks, the batches, and
the random numbers that both are given.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def without(network: nn.Module, j: int) -> nn.Module:
    """Copy a network and set filter j of its convolution to zero."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        changed.conv.weight[j] = 0
    return changed


@torch.no_grad()
def filter_weights(
    E: nn.Module, C: nn.Module, x: Tensor, y: Tensor, classes: int, sign: int = 1
) -> Tensor:
    """Eq. 5 and 6: (K, n_f)."""
    whole = F.cross_entropy(C(E(x)), y, reduction="none")
    n_f = E.conv.weight.shape[0]
    gaps = torch.stack(
        [F.cross_entropy(C(without(E, j)(x)), y, reduction="none") - whole for j in range(n_f)], 1
    )
    weights = F.softmax(sign * gaps, dim=1)
    return torch.stack([n_f * weights[y == c].mean(0) for c in range(classes)])


@torch.no_grad()
def channel_weights(E: nn.Module, C: nn.Module, part: str, batches: list) -> Tensor:
    """DELTA's channel weights: mean increase of the loss, standardised, softmax of a fifth."""
    network = E if part == "E" else C
    increases = []
    for j in range(network.conv.weight.shape[0]):
        less = without(network, j)
        total = 0.0
        for x, y in batches:
            changed = C(less(x)) if part == "E" else less(E(x))
            total += float(F.cross_entropy(changed, y) - F.cross_entropy(C(E(x)), y))
        increases.append(total / len(batches))
    w = torch.tensor(increases, dtype=torch.float64)
    return F.softmax((w - w.mean()) / w.std(correction=0) / 5, dim=0)


def distance(target: Tensor, source: Tensor, w: Tensor) -> Tensor:
    """Half the weighted squared distance of feature maps, summed over the batch."""
    _, c, h, width = target.shape
    norms = (target - source).flatten(2).norm(dim=2) ** 2
    return 0.5 * (c * w * norms / (h * width)).sum()


class PlainDfg:
    """One run of Algorithm 1."""

    def __init__(
        self,
        networks: dict[str, nn.Module],
        settings,
        every: tuple[Tensor, Tensor],
        weight_batches: list,
        classes: int,
    ) -> None:
        self.E, self.C, self.G, self.D = (networks[n] for n in "ECGD")
        self.s, self.classes, self.every = settings, classes, every
        self.E_S, self.C_S = copy.deepcopy(self.E), copy.deepcopy(self.C)
        rates = {"E": settings.eta_E, "C": settings.eta_C, "G": settings.eta_G, "D": settings.eta_D}
        self.adam = {
            n: torch.optim.Adam(networks[n].parameters(), lr=rates[n], betas=(0.5, 0.9))
            for n in "ECGD"
        }
        self.w_E = channel_weights(self.E_S, self.C_S, "E", weight_batches)
        self.w_C = channel_weights(self.E_S, self.C_S, "C", weight_batches)
        self.W_S = filter_weights(self.E_S, self.C_S, *every, classes)
        self.W = torch.where(settings.delta < self.W_S, self.W_S, 0.0)

    def down(self, letter: str, loss: Tensor) -> None:
        for network in (self.E, self.C, self.G, self.D):
            network.zero_grad()
        loss.backward()
        self.adam[letter].step()

    def generate(self, z: Tensor, y_hat: Tensor) -> Tensor:
        return self.G(z, F.one_hot(y_hat, self.classes).double(), self.W[y_hat])

    def real_loss(self, x: Tensor, y: Tensor) -> Tensor:
        logits, conv = self.C(self.E(x).detach(), maps=True)
        with torch.no_grad():
            _, source = self.C_S(self.E_S(x), maps=True)
        head = self.C.head
        square = (head.weight**2).sum() + (head.bias**2).sum()
        omega = 0.01 * distance(conv, source, self.w_C) + 0.01 * 0.5 * square
        return F.cross_entropy(logits, y) + omega

    def joint_loss(self, x: Tensor, y: Tensor, z: Tensor, y_hat: Tensor) -> Tensor:
        both = torch.cat([self.E(x).detach(), self.generate(z, y_hat)])
        return F.cross_entropy(self.C(both), torch.cat([y, y_hat]))

    def step(
        self,
        step: int,
        batch: Callable[[int], tuple[Tensor, Tensor]],
        noise: Callable[[int], tuple[Tensor, Tensor]],
        epsilon: Callable[[int], Tensor],
    ) -> None:
        s = self.s
        for t in range(s.n_D):
            x, _ = batch(t)
            z, y_hat = noise(t)
            real, fake = self.E(x).detach(), self.generate(z, y_hat).detach()
            penalty = 0.0
            for i in range(len(x)):
                e = epsilon(t)[i]
                x_hat = (e * real[i] + (1 - e) * fake[i]).requires_grad_(True)
                score = self.D(x_hat[None]).sum()
                (gradient,) = torch.autograd.grad(score, x_hat, create_graph=True)
                penalty = penalty + (gradient.norm() - 1) ** 2 / len(x)
            self.down("D", self.D(fake).mean() - self.D(real).mean() + 10 * penalty)
        z, y_hat = noise(s.n_D)
        x, y = batch(s.n_D)
        self.down("G", -self.D(self.generate(z, y_hat)).mean())
        if step % s.n_C1 == 0:
            self.down("G", self.joint_loss(x, y, z, y_hat))
            with torch.no_grad():
                source = self.E_S(x)
            features = self.E(x)
            omega = 0.01 * distance(features, source, self.w_E)
            self.down("E", F.cross_entropy(self.C(features), y) + omega)
            self.down("C", self.real_loss(x, y))
        if step % s.n_C2 == 0:
            real = self.real_loss(x, y)
            generated = F.cross_entropy(self.C(self.generate(z, y_hat).detach()), y_hat)
            # The norm's running statistics move once in a step's line 19.
            with torch.no_grad():
                fake = self.last_generated(z, y_hat)
            both = torch.cat([self.E(x).detach(), fake])
            joint = F.cross_entropy(self.C(both), torch.cat([y, y_hat]))
            self.down("C", s.alpha * real + s.beta * generated + s.gamma * joint)
        if step % s.n_W == 0:
            target = filter_weights(self.E, self.C, *self.every, self.classes)
            mixed = s.rho * self.W_S + (1 - s.rho) * target
            self.W = torch.where(mixed > s.delta, mixed, 0.0)

    def last_generated(self, z: Tensor, y_hat: Tensor) -> Tensor:
        """Generate with the batch's statistics, without moving the running ones again."""
        state = copy.deepcopy(self.G.state_dict())
        fake = self.generate(z, y_hat)
        self.G.load_state_dict(state)
        return fake


class PlainReleased(PlainDfg):
    """One run of Algorithm 1 as the released code reads it: all switches of the ledger together.

    F05, F08, F09 and F24 are in the networks that it is given, F15 and F16 in the images.
    """

    def __init__(
        self,
        networks: dict[str, nn.Module],
        settings,
        weighed: Callable[[int], tuple[Tensor, Tensor]],
        weight_batches: list,
        classes: int,
        batch: Callable[[int], tuple[Tensor, Tensor]],
        gate: float,
    ) -> None:
        super().__init__(networks, settings, weighed(0), weight_batches, classes)
        self.weighed, self.batch, self.gate = weighed, batch, gate
        self.window = [batch(i) for i in range(settings.n_D)]
        self.drawn = settings.n_D
        opposite = 1 / self.w_E  # softmax(-w / 5) has the inverse ratios of softmax(w / 5)
        self.w_E = opposite / opposite.sum()
        self.W_S = filter_weights(self.E_S, self.C_S, *self.every, classes, sign=-1)
        self.W = self.selected(self.W_S, 0.90)

    @staticmethod
    def selected(weights: Tensor, threshold: float) -> Tensor:
        """Threshold the weights and divide them by their number once more (F03, F04)."""
        return torch.where(weights > threshold, weights, 0.0) / weights.shape[1]

    def real_loss(self, x: Tensor, y: Tensor, through: bool = False) -> Tensor:
        """Cross-entropy and C's regulariser after the ReLU (F19), through E where asked (F11)."""
        features = self.E(x) if through else self.E(x).detach()
        logits, conv = self.C(features, maps=True)
        with torch.no_grad():
            _, source = self.C_S(self.E_S(x), maps=True)
        head = self.C.head
        square = (head.weight**2).sum() + (head.bias**2).sum()
        omega = distance(conv.clamp(min=0), source.clamp(min=0), self.w_C)
        return F.cross_entropy(logits, y) + 0.01 * omega + 0.01 * 0.5 * square

    def penalty(self, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        """The gradient penalty with 1e-16 added to each number of the gradient (F23)."""
        total = torch.zeros((), dtype=real.dtype)
        for i in range(len(real)):
            x_hat = epsilon[i] * real[i] + (1 - epsilon[i]) * fake[i]
            x_hat.requires_grad_(True)
            score = self.D(x_hat[None]).sum()
            (gradient,) = torch.autograd.grad(score, x_hat, create_graph=True)
            total = total + ((gradient + 1e-16).norm() - 1) ** 2 / len(real)
        return total

    def step(
        self,
        step: int,
        noise: Callable[[int], tuple[Tensor, Tensor]],
        epsilon: Callable[[int], Tensor],
    ) -> None:
        s = self.s
        for t, (x, _) in enumerate(self.window):  # F12
            z, y_hat = noise(t)
            real, fake = self.E(x).detach(), self.generate(z, y_hat).detach()
            penalty = self.penalty(real, fake, epsilon(t))
            self.down("D", self.D(fake).mean() - self.D(real).mean() + 10 * penalty)
        z, y_hat = noise(s.n_D)
        x, y = self.window.pop(0)
        self.window.append(self.batch(self.drawn))
        self.drawn += 1
        self.down("G", -self.D(self.generate(z, y_hat)).mean())
        if step % s.n_C1 == 0:
            self.down("G", self.joint_loss(x, y, z, y_hat))
            features = self.E(x)
            with torch.no_grad():
                source = self.E_S(x)
            entropy = F.cross_entropy(self.C(features), y)
            loss_E = entropy + 0.01 * distance(features, source, self.w_E)
            for network in (self.E, self.C):
                network.zero_grad()
            (loss_E + self.real_loss(x, y, through=True)).backward()  # F11
            self.adam["E"].step()
            self.adam["C"].step()
            self.loss_E = float(loss_E.detach())
        if step % s.n_C2 == 0:
            fake = self.generate(z, y_hat).detach()
            generated = F.cross_entropy(self.C(fake), y_hat)
            both = torch.cat([self.E(x).detach(), fake])
            joint = F.cross_entropy(self.C(both), torch.cat([y, y_hat]))
            self.down("C", s.alpha * self.real_loss(x, y) + s.beta * generated + s.gamma * joint)
        if step % s.n_W == 0 and self.loss_E < self.gate:  # F07
            x, y = self.weighed(step)  # F13
            target = filter_weights(self.E, self.C, x, y, self.classes, sign=-1)
            self.W = self.selected(target, 0.95)  # F06

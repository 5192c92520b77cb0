"""Replicated: one network for each run of a pack, along a leading replica axis."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dfgctl.networks.convolutions import Convolutions
from dfgctl.numerics import inside_vmap


class Replicated(nn.Module):
    """R networks of one shape, called together on tensors of shape (R, B, ...).

    Parameters and buffers are stacked along a leading replica axis and the networks are called
    through ``torch.vmap``; a single replica is called as the plain module that it is. Parameters
    never mix between replicas, so the gradient of a sum of losses is each replica's own, and one
    ordinary optimiser serves all.

    Args:
        networks: R modules of one class and shape; they are not used afterwards.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.replicas = len(networks)
        self._names = {name: f"p{i}" for i, name in enumerate(networks[0].state_dict())}
        if self.replicas == 1:
            self.network = networks[0]
            return
        parameters = {name for name, _ in networks[0].named_parameters()}
        states = [network.state_dict() for network in networks]
        for name, slot in self._names.items():
            stacked = torch.stack([state[name] for state in states])
            if name in parameters:
                self.register_parameter(slot, nn.Parameter(stacked))
            else:
                self.register_buffer(slot, stacked)
        # Held in a list, so that it is no submodule; on "meta", so that it takes no memory.
        self._template = [networks[0].to("meta")]

    def forward(self, *args: Tensor, **kwargs: Any) -> Any:
        """Call the networks on arguments with a leading replica axis; see ``called_with``."""
        return self.called_with({}, *args, **kwargs)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode."""
        if self.replicas > 1:
            self._template[0].train(mode)
        return super().train(mode)

    def called_with(self, changed: Mapping[str, Tensor], *args: Tensor, **kwargs: Any) -> Any:
        """Call the networks with some parameters replaced.

        Args:
            changed: parameter's name to (R, ...) values used instead of it.
            args: tensors (R, ...); each replica sees its own slice.
            kwargs: passed to every network as they are.

        Returns:
            What the network returns, each tensor with a leading replica axis.
        """
        if self.replicas == 1:
            own = {name: value[0] for name, value in changed.items()}
            inputs = tuple(arg[0] for arg in args)
            output = (
                functional_call(self.network, own, inputs, kwargs)
                if own
                else self.network(*inputs, **kwargs)
            )
            return _with_replica_axis(output)
        state = {**self.stacked(), **changed}

        def one(state: dict[str, Tensor], *inputs: Tensor) -> Any:
            return functional_call(self._template[0], state, inputs, kwargs)

        with inside_vmap(args[0].device), Convolutions(self.replicas):
            return torch.vmap(one)(state, *args)

    @property
    def module(self) -> nn.Module:
        """The plain module that is called; with R > 1 it holds no parameters, only modes."""
        return self.network if self.replicas == 1 else self._template[0]

    def has(self, name: str) -> bool:
        """Say whether there is a parameter or buffer of that name."""
        return name in self._names

    def stacked(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by name, each (R, ...), sharing memory."""
        if self.replicas == 1:
            return {
                name: value[None] for name, value in self.network.state_dict(keep_vars=True).items()
            }
        return {name: cast(Tensor, getattr(self, slot)) for name, slot in self._names.items()}

    def tensor(self, name: str) -> Tensor:
        """Return one parameter or buffer, (R, ...), through which gradients flow."""
        return self.stacked()[name]

    @contextmanager
    def buffers_kept(self, kept: Tensor) -> Iterator[None]:
        """Undo what a block does to the buffers of some replicas, (R,).

        A dropout's count of masks is set back for all: how many passes a block makes depends on
        the pack.
        """
        names = {name for name, _ in self.module.named_buffers()}
        before = {name: self.tensor(name).clone() for name in names}
        yield
        for name in names:
            buffer = self.tensor(name)
            mask = kept.view(-1, *(1,) * (buffer.dim() - 1)) | name.endswith(".count")
            buffer.copy_(torch.where(mask, before[name], buffer))

    def parameter_list(self, wanted: Callable[[str], bool] | None = None) -> list[nn.Parameter]:
        """Return the parameters for an optimiser, all or those whose plain name is wanted."""
        names = {slot: name for name, slot in self._names.items()}
        named = self.network.named_parameters() if self.replicas == 1 else self.named_parameters()
        return [p for name, p in named if wanted is None or wanted(names.get(name, name))]

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """Return one replica's parameters and buffers, named as in its plain module, on the CPU."""
        return {
            name: value[replica].detach().to("cpu", copy=True)
            for name, value in self.stacked().items()
        }


def descend(
    optimizers: torch.optim.Optimizer | Sequence[torch.optim.Optimizer], loss: Tensor
) -> None:
    """Take one step of each optimiser down a loss of shape (R,).

    Only the gradients of the optimisers' own parameters are computed, so a loss may pass through
    networks that this step does not train. They are not kept: later work may use their memory.
    """
    if isinstance(optimizers, torch.optim.Optimizer):
        optimizers = [optimizers]
    parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
    gradients = torch.autograd.grad(loss.sum(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        # Fused Adam on the CPU reads memory as it lies, whatever the strides say.
        parameter.grad = gradient.contiguous()
    for optimizer in optimizers:
        optimizer.step()
    for parameter in parameters:
        parameter.grad = None


def _with_replica_axis(output: Any) -> Any:
    if isinstance(output, tuple):
        return tuple(part[None] for part in output)
    return output[None]

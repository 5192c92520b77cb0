"""Attributes from JSON and tensors: one file a replica, brought together for a pack."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dfgctl.pack import Replicated
from dfgctl.state.made import Made
from dfgctl.state.saved import Node, StateError, laid_out

NUMBERS = (int, float)


class Reader:
    """Turns nodes back into values; tensors that ``__init__`` made are filled where they are.

    Args:
        made: what ``__init__`` made.
        tensors: the tensors of each replica, by name.
        device: where the pack is trained.
        packs: how many replicas each replica's former pack had; empty if these are that very pack.
    """

    def __init__(
        self,
        made: Made,
        tensors: Sequence[Mapping[str, Tensor]],
        device: torch.device,
        packs: frozenset[int] = frozenset(),
    ) -> None:
        self._made = made
        self._tensors = tensors
        self._device = device
        self._packs = packs
        self._built: dict[tuple[str, ...], Tensor] = {}
        self._modes: list[tuple[Replicated, Node]] = []

    def set_modes(self) -> None:
        """Set the networks' modules to training or evaluation, as they were."""
        for network, node in self._modes:
            resting = set(node["resting"])
            network.train(node["training"])
            for name, module in network.module.named_modules():
                module.training = name not in resting

    def value(self, nodes: Sequence[Node], now: Any) -> Any:
        """Return the value that the replicas' nodes stand for.

        Args:
            nodes: one node of each replica.
            now: the value that ``__init__`` has put there, if any.

        Raises:
            StateError: the replicas disagree, or it is another than this method's.
        """
        first = nodes[0]
        if not isinstance(first, dict):
            return _agreed(nodes)
        kind = _agreed([n["kind"] if isinstance(n, dict) else None for n in nodes])
        if kind == "float":
            return float(_agreed([n["value"] for n in nodes]))
        if kind in ("list", "tuple", "dict"):
            return self._holder(kind, nodes, now)
        if kind == "tensor":
            return self._tensor(nodes)
        found = self._made.objects[_agreed([n["made"] for n in nodes])]
        if kind == "network":
            self._fill_network(found, nodes)
        elif kind == "optimizer":
            self._fill_optimizer(found, nodes)
        elif isinstance(found, Tensor | Replicated | torch.optim.Optimizer):
            raise StateError(f"{first['made']} is a {type(found).__name__} by now")
        return found

    def _holder(self, kind: str, nodes: Sequence[Node], now: Any) -> Any:
        """Return a list, tuple or dict."""
        count = _agreed([len(n["items"]) for n in nodes])
        before = list(now.values()) if isinstance(now, dict) else now
        known = isinstance(before, list | tuple) and len(before) == count
        items = [
            self.value([n["items"][i] for n in nodes], before[i] if known else None)
            for i in range(count)
        ]
        found: Any = {"list": list, "tuple": tuple}.get(kind, list)(items)
        if kind == "dict":
            found = dict(zip(_agreed([n["keys"] for n in nodes]), items, strict=True))
        numbers = all(isinstance(item, NUMBERS) for item in items)
        if numbers and count in self._packs and found != now:
            raise StateError("numbers that may be the former pack's replicas' do not fit another")
        return found

    def _tensor(self, nodes: Sequence[Node]) -> Tensor:
        """Return an attribute's tensor: ``__init__``'s own, or else a new one."""
        made = {n["made"] for n in nodes}
        if len(made) > 1 or None in made:
            return self._new(nodes, self._device)
        found = self._made.objects[made.pop()]
        if not isinstance(found, Tensor):
            raise StateError(f"{nodes[0]['name']} is no tensor by now")
        if _agreed([n["by_replica"] for n in nodes]):
            self._fill(found, self._parts(nodes))
        else:
            self._fill(found[None], [self._shared(nodes)])
        return found

    def _new(self, nodes: Sequence[Node], device: torch.device) -> Tensor:
        """Return a tensor as it was, the same one for the same names."""
        names = tuple(n["name"] for n in nodes)
        if names in self._built:
            return self._built[names]
        first = nodes[0]
        place = torch.device("cpu") if first["host"] else device
        if _agreed([n["by_replica"] for n in nodes]):
            pieces = self._parts(nodes)
            shape = (len(pieces), *pieces[0].shape)
            built = laid_out(shape, first["order"], pieces[0].dtype, place)
            self._fill(built, pieces)
        else:
            shared = self._shared(nodes)
            built = laid_out(tuple(shared.shape), first["order"], shared.dtype, place)
            built.copy_(shared)
        self._built[names] = built
        return built

    def _parts(self, nodes: Sequence[Node]) -> list[Tensor]:
        return [own[n["name"]] for own, n in zip(self._tensors, nodes, strict=True)]

    def _shared(self, nodes: Sequence[Node]) -> Tensor:
        first, *others = self._parts(nodes)
        if not all(torch.equal(first, other) for other in others):
            raise StateError(f"the runs disagree on {nodes[0]['name']}")
        return first

    @staticmethod
    def _fill(target: Tensor, pieces: Sequence[Tensor]) -> None:
        """Copy the replicas' pieces into a tensor (R, ...)."""
        if len(target) != len(pieces):
            raise StateError(f"{len(pieces)} replicas do not fill {len(target)}")
        for row, piece in zip(target, pieces, strict=True):
            if row.shape != piece.shape or row.dtype != piece.dtype:
                raise StateError(
                    f"{piece.dtype} of shape {tuple(piece.shape)} does not fit {row.dtype} of "
                    f"shape {tuple(row.shape)}"
                )
            row.copy_(piece)

    def _fill_network(self, network: Any, nodes: Sequence[Node]) -> None:
        if not isinstance(network, Replicated):
            raise StateError(f"{nodes[0]['made']} is no network by now")
        made, names = nodes[0]["made"], _agreed([n["tensors"] for n in nodes])
        stacked = network.stacked()
        if names != list(stacked):
            raise StateError(f"{made} has other layers by now")
        for name, tensor in stacked.items():
            self._fill(tensor.detach(), [own[f"{made}.{name}"] for own in self._tensors])
        learning = set(_agreed([n["learning"] for n in nodes]))
        for parameter in network.parameter_list():
            parameter.requires_grad_(False)
        for parameter in network.parameter_list(lambda name: name in learning):
            parameter.requires_grad_()
        self._modes.append((network, nodes[0]))

    def _fill_optimizer(self, optimizer: Any, nodes: Sequence[Node]) -> None:
        """Give an optimiser its state; its groups stay the objects that schedules know."""
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise StateError(f"{nodes[0]['made']} is no optimiser by now")
        groups = optimizer.param_groups
        parameters = [(group, p) for group in groups for p in group["params"]]
        if any(len(n["states"]) != len(parameters) for n in nodes):
            raise StateError(f"{nodes[0]['made']} has other parameters by now")
        optimizer.state.clear()
        for i, (group, parameter) in enumerate(parameters):
            states = [n["states"][i] for n in nodes]
            names = _agreed([list(s) for s in states])
            found = {
                name: self._moment([s[name] for s in states], group, parameter) for name in names
            }
            if found:
                optimizer.state[parameter] = found
        settings = zip(*(n["settings"] for n in nodes), strict=True)
        for changed in settings:
            group, name = _agreed([c[:2] for c in changed])
            groups[group][name] = self.value([c[2] for c in changed], groups[group].get(name))

    def _moment(self, nodes: Sequence[Node], group: Mapping[str, Any], parameter: Tensor) -> Any:
        """Return one entry of an optimiser's state of a parameter."""
        first = nodes[0]
        if not (isinstance(first, dict) and first["kind"] == "tensor"):
            return self.value(nodes, None)
        if first["by_replica"]:
            moment = self._new(nodes, parameter.device)
            if self._made.parameters.get(id(parameter)):
                moment = moment[0]
            if moment.shape != parameter.shape:
                raise StateError(f"{first['name']} is of another shape than its parameter")
            return moment
        # Where PyTorch has the count of steps.
        with_parameter = group.get("fused") or group.get("capturable")
        device = parameter.device if with_parameter else torch.device("cpu")
        return self._new([{**n, "host": False} for n in nodes], device)


def _agreed(values: Sequence[Any]) -> Any:
    """Return what all replicas have.

    Raises:
        StateError: they do not all have the same.
    """
    first = values[0]
    if any(type(v) is not type(first) or v != first for v in values[1:]):
        raise StateError(f"the runs disagree: {first!r}"[:200])
    return first

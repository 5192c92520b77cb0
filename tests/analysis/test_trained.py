"""What a finished run left: weights that are there, gone, or damaged; the history of W."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dfgctl.analysis.filters import moves
from dfgctl.analysis.trained import trained
from dfgctl.errors import InputError
from dfgctl.inference import state_of


def test_parts_are_told_by_their_letter(make_trained: Any, tmp_path: Path) -> None:
    made = make_trained()
    file = tmp_path / "w.safetensors"
    save_file(made.state, file)
    found = trained(made.run, file, ("zero", "one", "two"))
    assert set(found.part("E")) == {"conv.weight", "conv.bias"}
    assert torch.equal(found.part("E")["conv.bias"], made.state["E.conv.bias"])
    assert found.part("S") == {}
    assert torch.equal(found.classifier.C.head.weight, made.state["C.head.weight"])


def test_weights_that_are_gone_or_damaged_end_in_the_remedy(
    make_trained: Any, tmp_path: Path
) -> None:
    run, file = make_trained().run, tmp_path / "w.safetensors"
    with pytest.raises(InputError, match=r"are not at .*: train it once more with --force\.$"):
        state_of(run, file)
    file.write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"are damaged: train it once more with --force"):
        state_of(run, file)


def test_the_history_is_read_as_it_was_written(make_trained: Any, tmp_path: Path) -> None:
    run, file = make_trained().run, tmp_path / "w.safetensors"
    history = torch.rand(3, 4, 5)
    state = {
        "W_history": history,
        "W_history_steps": torch.tensor([0, 2, 4]),
        "W_source": history[0].clone(),
    }
    save_file(state, file)
    found = moves(run, file)
    assert (found.rho, found.share, found.steps.tolist()) == (0.75, 0.75, [0, 2, 4])
    released = replace(run, spec=replace(run.spec, protocol="released"))
    assert (moves(released, file).rho, moves(released, file).share) == (0.75, 0.0)  # F06
    np.testing.assert_array_equal(found.weights, history.double().numpy())
    np.testing.assert_array_equal(found.source, found.weights[0])
    save_file({"E.conv.bias": torch.zeros(6)}, file)
    with pytest.raises(InputError, match="kept no filter weights: name a run of dfg"):
        moves(run, file)

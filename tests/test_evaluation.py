"""An evaluation of a part of the images."""

from typing import Any

import pytest
import torch
from specs import spec
from torch import Tensor

from dfgctl.data.arrays import ImageArrays
from dfgctl.training import Trainer

COUNTS = (80, 8, 8, 8, 80, 8, 8, 8, 8, 8)


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_only_so_many_chunks_are_looked_at_and_later_all_again(
    digits: ImageArrays, validation: float
) -> None:
    made = spec("original", steps=4, validation=validation)
    trainer = Trainer([made], [COUNTS], digits, None, torch.device("cpu"), torch.float32)
    evaluator, classify = trainer.evaluator, trainer.method.classify
    evaluator.chunk = 10
    seen: list[int] = []

    def counted(x: Tensor) -> Tensor:
        seen.append(x.shape[1])
        return classify(x)

    trainer.method.classify = counted  # type: ignore[method-assign]
    trainer.evaluate(4)
    whole, images = trainer.confusion, sum(seen)
    held_out = len(evaluator.validation[0]) if validation else 0
    assert images == len(digits.test) + held_out
    seen.clear()
    with evaluator.only(2) as share:
        trainer.evaluate(4)
    assert seen == [10] * (4 if validation else 2)
    assert share == pytest.approx(sum(seen) / images)
    trainer.evaluate(4)
    assert (trainer.confusion == whole).all()
    with evaluator.only(10**6) as share:
        assert share == 1.0


def test_all_images_are_back_where_an_evaluation_of_some_fails(digits: ImageArrays) -> None:
    trainer = Trainer([spec()], [COUNTS], digits, None, torch.device("cpu"), torch.float32)
    before: Any = trainer.evaluator.test

    def failed() -> None:
        with trainer.evaluator.only(1):
            raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        failed()
    assert trainer.evaluator.test is before

"""The built-in digits are scikit-learn's, whichever way they are read."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dfgctl.data import digits


def test_the_file_holds_what_scikit_learn_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    bunch = load_digits()
    pixels, labels, training = digits.labels_and_split()
    assert np.array_equal(pixels, bunch.images)
    assert np.array_equal(labels, bunch.target)
    monkeypatch.setattr(digits, "find_spec", lambda _: None)
    for one, other in zip(digits.labels_and_split(), (pixels, labels, training), strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_reading_them_imports_no_scikit_learn() -> None:
    code = (
        "import sys; from dfgctl.data import digits; digits.load(); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

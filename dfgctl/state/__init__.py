"""What a run in training is: saved so that it goes on elsewhere, bit for bit on the CPU."""

from dfgctl.state.pack import PackState
from dfgctl.state.saved import Saved, StateError
from dfgctl.state.tally import Tally

__all__ = ["PackState", "Saved", "StateError", "Tally"]

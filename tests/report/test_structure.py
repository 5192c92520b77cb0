"""The figure of the networks: every layer is in its box, and nothing lies on anything else."""

from typing import Any

import pytest
from matplotlib.patches import FancyBboxPatch

from dfgctl.networks.outline import Line, Outline, Structure
from dfgctl.report.structure import draw


def outline(letter: str, title: str, layers: int, size: int = 14) -> Outline:
    lines = [
        Line(f"transposed conv {i}×{i}, stride 2", "tanh · W*", (2048, size, size), 102_764_544)
        for i in range(10, 9 + layers)
    ]
    return Outline(letter, title, (6, size, size), [*lines, Line("pool", "", (6, 14, 14), 0)])


@pytest.fixture
def made() -> Structure:
    networks = {
        "G": outline("G", "feature generator", 10),
        "D": outline("D", "feature discriminator", 4),
        "E": outline("E", "feature extractor", 3),
        "C": outline("C", "feature classifier", 12, 112),
    }
    return Structure("fmnist", "F-MNIST", "LeNet-5", "block1", 10, 100, networks)


def words(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_layer_and_total_is_written(made: Structure) -> None:
    drawn = draw(made)
    shown = words(drawn.figure.axes[0])
    for network in made.networks.values():
        assert f"{network.letter}, {network.title}" in shown
        assert f"{network.parameters:,} parameters" in shown
    assert shown.count("tanh · W*") == sum(len(n.lines) - 1 for n in made.networks.values())
    assert "input: 100 noise numbers, 10 for the class; filter weights W*" in shown
    assert "real features\n14×14×6" in shown
    assert drawn.said[0].startswith(f"{made.parameters:,} parameters: G ")
    assert "The paper: Tables A1 and A2." in drawn.said[0]
    assert "Table 4" not in " ".join(drawn.said)


def test_the_papers_count_stands_beside_ours(made: Structure) -> None:
    own = Structure("caltech256", "Caltech-256", "ResNet-50", "block1", 257, 4900, made.networks)
    said = draw(own).said
    assert "The paper's Table 4 counts 73,590,722 parameters for DFG: another number." in said
    other = Structure("caltech256", "Caltech-256", "ResNet-50", "block2", 257, 4900, made.networks)
    assert "paper" not in " ".join(draw(other).said)


def test_words_lie_within_their_boxes_and_on_no_others(made: Structure) -> None:
    figure = draw(made).figure
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [p.get_window_extent() for p in axes.patches if isinstance(p, FancyBboxPatch)]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    places = [t.get_window_extent() for t in axes.texts if t.get_text()]
    for i, place in enumerate(places):
        assert not any(place.overlaps(other) for other in places[i + 1 :]), words(axes)[i]
        for box in boxes:
            if place.overlaps(box):
                assert box.x0 < place.x0
                assert place.x1 < box.x1
                assert box.y0 < place.y0
                assert place.y1 < box.y1


def test_the_data_has_a_row_for_each_line(made: Structure) -> None:
    drawn = draw(made)
    assert drawn.runs == []
    assert len(drawn.data) == 29
    assert list(drawn.data) == ["network", "count", "layer", "activation", "shape", "parameters"]
    assert drawn.data.parameters.sum() == made.parameters

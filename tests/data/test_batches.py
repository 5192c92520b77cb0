"""Batches: from the replica's own images only, the same whoever shares the pack."""

import numpy as np
import pytest
import torch

from dfgctl import seeding
from dfgctl.data import batches as module
from dfgctl.data.augment import randomly
from dfgctl.data.batches import DRAWS_PER_STEP, Batches, Images, scaled
from dfgctl.data.views import View
from dfgctl.draws import Stream

KEYS = [seeding.run_key(seed, (0, 4)) for seed in range(3)]
SUBSETS = [np.array([3]), np.arange(10, 17), np.arange(20, 60)]
LABELS = np.arange(100) % 5


@pytest.fixture
def images() -> Images:
    """100 images whose pixels are all their own index."""
    pixels = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None, None], (100, 1, 2, 3))
    return Images.on(torch.device("cpu"), pixels, LABELS)


def batches(images: Images, subsets=SUBSETS, keys=KEYS, size=50, stream="batches") -> Batches:
    return Batches(images, subsets, keys, size, torch.float64, stream)


def indices(x: torch.Tensor) -> torch.Tensor:
    """Read the images' indices from their pixels, (R, B)."""
    return ((x + 1) * 127.5).round().long()[:, :, 0, 0, 0]


def test_pixels_become_numbers_from_minus_one_to_one() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    expected = torch.tensor([-1, -0.6, 1], dtype=torch.float64)
    torch.testing.assert_close(scaled(pixels, torch.float64), expected)
    assert scaled(pixels, torch.float32).dtype == torch.float32


def test_a_batch_has_a_place_for_each_replica(images: Images) -> None:
    x, y = batches(images).draw(1, 0)
    assert x.shape == (3, 50, 1, 2, 3)
    assert y.shape == (3, 50)
    assert x.dtype == torch.float64
    assert (x == x[:, :, :1, :1, :1]).all()


def test_each_replica_draws_all_of_its_own_images_and_no_other(images: Images) -> None:
    pack = batches(images)
    drawn = torch.cat([indices(pack.draw(step, 0)[0]) for step in range(40)], dim=1)
    for own, subset in zip(drawn, SUBSETS, strict=True):
        assert own.unique().tolist() == subset.tolist()


def test_images_of_a_padded_subset_are_drawn_equally_often(images: Images) -> None:
    # The seven images are padded with copies of the last one up to forty.
    drawn = indices(batches(images, size=14_000).draw(1, 0)[0])[1]
    counts = drawn.bincount()[10:17]
    assert abs(counts - 2000).max() < 5 * 2000**0.5


def test_labels_are_those_of_the_images(images: Images) -> None:
    x, y = batches(images).draw(5, 3)
    assert torch.equal(y, torch.from_numpy(LABELS)[indices(x)])


def test_a_batch_depends_on_step_and_number(images: Images) -> None:
    pack = batches(images)
    drawn = {
        tuple(indices(pack.draw(step, number)[0])[2].tolist())
        for step in (1, 2, 3)
        for number in (0, 1, DRAWS_PER_STEP - 1)
    }
    assert len(drawn) == 9


def test_a_batch_does_not_depend_on_the_pack_or_on_earlier_batches(images: Images) -> None:
    pack = batches(images)
    pack.draw(9, 1)
    together = indices(pack.draw(7, 2)[0])
    for i in range(3):
        alone = batches(images, SUBSETS[i : i + 1], KEYS[i : i + 1])
        assert torch.equal(indices(alone.draw(7, 2)[0])[0], together[i])


def test_replicas_with_the_same_images_draw_different_batches(images: Images) -> None:
    drawn = indices(batches(images, [SUBSETS[2]] * 3).draw(1, 0)[0])
    assert len({tuple(row.tolist()) for row in drawn}) == 3


def test_a_step_has_no_more_batches_than_its_stream_has_room_for(images: Images) -> None:
    pack = batches(images)
    with pytest.raises(ValueError, match="64 batches, not 65"):
        pack.draw(1, DRAWS_PER_STEP)


@pytest.mark.parametrize("kind", ["draw", "draw_balanced"])
def test_a_step_on_the_device_draws_what_its_number_draws(kind: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (100, 3, 6, 6), dtype=np.uint8)
    images = Images.on(torch.device("cpu"), pixels, LABELS)
    view = View(channels=3, stored=6, crop=4, padding=1, flip=True)
    pack = Batches(images, SUBSETS, KEYS, 8, torch.float64, view=view)
    draw = getattr(pack, kind)
    for step, number in ((1, 0), (7, 5), (20_000, 63)):
        plain, recorded = draw(step, number), draw(torch.tensor(step), number)
        assert all(torch.equal(*pair) for pair in zip(plain, recorded, strict=True))


def test_batches_of_another_name_differ(images: Images) -> None:
    pack = batches(images)
    other = pack.renamed("head batches")
    assert other.subsets is pack.subsets
    assert not torch.equal(pack.draw(1, 0)[0], other.draw(1, 0)[0])
    expected = batches(images, stream="head batches").draw(1, 0)[0]
    assert torch.equal(other.draw(1, 0)[0], expected)


@pytest.mark.parametrize("chunk", [1, 7, 40, 1000])
def test_a_sweep_visits_each_image_once(images: Images, chunk: int) -> None:
    visited: list[list[int]] = [[], [], []]
    for x, y, real in batches(images).sweep(chunk):
        assert x.shape[1] <= chunk
        assert torch.equal(y[real], torch.from_numpy(LABELS)[indices(x)[real]])
        for i in range(3):
            visited[i] += indices(x)[i][real[i]].tolist()
    assert [sorted(own) for own in visited] == [subset.tolist() for subset in SUBSETS]


@pytest.mark.parametrize(
    ("per_class", "counts"), [(1, [1, 5, 5]), (3, [1, 7, 15]), (8, [1, 7, 40])]
)
def test_a_sweep_takes_so_many_images_of_each_class_at_the_most(
    images: Images, per_class: int, counts: list[int]
) -> None:
    visited: list[list[int]] = [[], [], []]
    for x, _, real in batches(images).sweep(4, per_class):
        for i in range(3):
            visited[i] += indices(x)[i][real[i]].tolist()
    assert [len(set(own)) for own in visited] == [len(own) for own in visited] == counts
    for own, subset in zip(visited, SUBSETS, strict=True):
        assert set(own) <= set(subset.tolist())
        assert np.bincount(LABELS[own]).max() <= per_class


# Batches balanced over the classes


def test_a_balanced_batch_has_all_classes_alike(images: Images) -> None:
    # Of class 0 ten images, of classes 1 and 3 one each; classes 2 and 4 have none.
    subset = np.array([*range(0, 50, 5), 1, 3])
    x, y = batches(images, [subset], KEYS[:1], size=12_000).draw_balanced(1, 0)
    counts = y[0].bincount(minlength=5)
    assert counts[[2, 4]].tolist() == [0, 0]
    assert (counts[[0, 1, 3]] - 4000).abs().max() < 5 * 4000**0.5
    drawn = indices(x)[0].bincount(minlength=100)
    assert set(drawn.nonzero().flatten().tolist()) == set(subset.tolist())
    assert (drawn[subset[:10]] - 400).abs().max() < 5 * 400**0.5


def test_labels_of_a_balanced_batch_are_those_of_its_images(images: Images) -> None:
    x, y = batches(images).draw_balanced(5, 3)
    assert torch.equal(y, torch.from_numpy(LABELS)[indices(x)])


def test_each_replica_draws_balanced_batches_of_its_own_images(images: Images) -> None:
    # Class 0 has 8 of the last one's 40 images; the middle one has 1 or 2 of each class.
    drawn = indices(batches(images, size=4000).draw_balanced(2, 1)[0])
    for own, subset in zip(drawn, SUBSETS, strict=True):
        assert own.unique().tolist() == subset.tolist()
    counts = torch.from_numpy(LABELS)[drawn[1]].bincount()
    assert (counts - 800).abs().max() < 5 * 800**0.5
    assert drawn[1].bincount()[12] > 1.7 * drawn[1].bincount()[10]  # 10 and 15 share a class


def test_a_balanced_batch_depends_on_run_step_and_number_alone(images: Images) -> None:
    pack = batches(images)
    together = indices(pack.draw_balanced(7, 2)[0])
    for i in range(3):
        alone = batches(images, SUBSETS[i : i + 1], KEYS[i : i + 1])
        assert torch.equal(indices(alone.draw_balanced(7, 2)[0])[0], together[i])
    others = [pack.draw_balanced(step, number)[0] for step, number in ((7, 1), (8, 2))]
    assert not any(torch.equal(indices(x), together) for x in others)


def test_images_of_each_class_are_counted(images: Images) -> None:
    counts = batches(images).class_counts(6)
    for own, subset in zip(counts.tolist(), SUBSETS, strict=True):
        assert own == np.bincount(LABELS[subset], minlength=6).tolist()


# Views


def test_training_images_are_changed_at_random_and_swept_ones_are_not() -> None:
    view = View(channels=1, stored=6, crop=4, padding=0, flip=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 6, 6), dtype=np.uint8)
    shown = Images.on(torch.device("cpu"), pixels, np.arange(20) % 5)
    subset = [np.arange(20)] * 2
    pack = Batches(shown, subset, KEYS[:2], 8, torch.float64, "batches", view)
    x, _ = pack.draw(3, 2)
    draw = 3 * DRAWS_PER_STEP + 2
    chosen = Stream(KEYS[:2], "batches", shown.device).integers(draw, (8,), 20)
    changes = Stream(KEYS[:2], "batches augmentation", shown.device)
    expected = randomly(torch.from_numpy(pixels)[chosen], view, changes, draw)
    assert torch.equal(x, scaled(expected, torch.float64))
    other = pack.renamed("window").draw(3, 2)[0]
    assert other.shape == x.shape == (2, 8, 1, 4, 4)
    assert not torch.equal(other, x)
    ((seen, _, _),) = pack.sweep(20)
    assert torch.equal(seen[0], scaled(torch.from_numpy(pixels[:, :, 1:5, 1:5]), torch.float64))
    assert pack.draw_balanced(3, 2)[0].shape == (2, 8, 1, 4, 4)


# Shuffled sweeps


def swept(pack: Batches, per_class: int, shuffle: int | None) -> list[list[int]]:
    visited: list[list[int]] = [[] for _ in pack.subsets]
    for x, y, real in pack.sweep(4, per_class, shuffle):
        assert torch.equal(y[real], torch.from_numpy(LABELS)[indices(x)[real]])
        for i, own in enumerate(visited):
            own += indices(x)[i][real[i]].tolist()
    return visited


def test_a_shuffled_sweep_takes_other_first_images_of_each_class(images: Images) -> None:
    pack = batches(images)
    plain, one, two = (swept(pack, 2, shuffle) for shuffle in (None, 1, 2))
    for visited in (plain, one, two):
        assert [len(set(own)) for own in visited] == [len(own) for own in visited] == [1, 7, 10]
        for own, subset in zip(visited, SUBSETS, strict=True):
            assert set(own) <= set(subset.tolist())
        assert np.bincount(LABELS[visited[2]]).tolist() == [2] * 5
    assert len({tuple(sorted(visited[2])) for visited in (plain, one, two)}) == 3
    assert swept(pack, 2, 1) == one


def test_a_shuffled_sweep_does_not_depend_on_the_pack(images: Images) -> None:
    together = swept(batches(images), 3, 5)
    for i in range(3):
        alone = batches(images, SUBSETS[i : i + 1], KEYS[i : i + 1])
        assert swept(alone, 3, 5) == [together[i]]


def test_a_shuffled_sweep_of_all_visits_each_image_once(images: Images) -> None:
    visited = swept(batches(images), 0, 4)
    assert [sorted(own) for own in visited] == [subset.tolist() for subset in SUBSETS]
    assert visited[2] != SUBSETS[2].tolist()


# Where images are


def test_large_images_stay_on_the_host_and_what_is_taken_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    device = torch.device("meta")
    small = Images.on(device, pixels, LABELS[:4])
    assert small.pixels.device == small.labels.device == small.device == device
    assert small.at_hand
    monkeypatch.setattr(module, "DEVICE_BYTES", 23)
    large = Images.on(device, pixels, LABELS[:4])
    assert large.pixels.device == torch.device("cpu")
    assert large.device == device
    assert not large.at_hand
    assert large.raw(slice(1, 3)).device == device
    assert large.raw(torch.tensor([[0, 3]])).shape == (1, 2, 1, 2, 3)

"""Pictures that stay on the host are read ahead, and nothing but the time tells."""

import gc
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from dfgctl import seeding
from dfgctl.data import ahead as module
from dfgctl.data import batches as batches_module
from dfgctl.data.ahead import AHEAD, DRAWS_PER_STEP, Ahead, Waiting
from dfgctl.data.batches import Batches, Images, room_on
from dfgctl.data.reading import Parts
from dfgctl.data.views import View

CPU = torch.device("cpu")
KEYS = [seeding.run_key(seed, (0, 4)) for seed in range(3)]
LABELS = np.arange(40) % 5
SUBSETS = [np.array([9]), np.arange(10, 17), np.arange(0, 40, 2)]
VIEWS = {
    "plain": View(channels=3, stored=9, crop=9, padding=0, flip=False),
    "cropped": View(channels=3, stored=9, crop=6, padding=0, flip=True),
    "cropped only": View(channels=3, stored=9, crop=6, padding=0, flip=False),
    "padded": View(channels=3, stored=9, crop=9, padding=2, flip=True),
    "mirrored": View(channels=3, stored=9, crop=9, padding=0, flip=True),
}
GREY = View(channels=1, stored=9, crop=9, padding=0, flip=False)
Draws = Callable[[int], list[tuple[str, int, int]]]
STEPS: dict[str, Draws] = {
    "one": lambda s: [("draw", s, 0)],
    "several": lambda s: [("draw", s, t) for t in range(4)],
    "both kinds": lambda s: [("draw_balanced", s, 0), ("draw_balanced", s, 1), ("draw", s, 1)],
    "window": lambda s: [*(("window", s - 1 + t, 0) for t in range(3)), ("window", s - 1, 0)],
    "stages": lambda s: [("draw" if s > 3 else "draw_balanced", s, t) for t in range(2)],
    "sometimes more": lambda s: [("draw", s, t) for t in range(3 if s % 3 == 0 else 2)],
    "backwards": lambda s: [("draw", 9 - s, 0)],
}


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Images]]:
    """Makes images on the device or on the host."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 9, 9), dtype=np.uint8)
    made: list[Images] = []

    def make(on_host: bool) -> Images:
        with monkeypatch.context() as patch:
            patch.setattr(batches_module, "DEVICE_BYTES", 0 if on_host else pixels.nbytes)
            made.append(Images.on(CPU, pixels, LABELS))
        assert (made[-1].ahead is not None) == on_host
        return made[-1]

    yield make
    for one in made:
        one.close()


def pack_of(images: Images, view: View, stream: str = "batches") -> Batches:
    return Batches(images, SUBSETS, KEYS, 8, torch.float64, stream, view)


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("pictures")]


class Recorded:
    """A source that notes who read what, and can be told to fail."""

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self.read: dict[int, str] = {}
        self.broken: set[int] = set()
        self.begun: list[int] = []

    def empty(self, place: int, pinned: bool) -> Parts:
        assert not pinned
        self.begun.append(place)
        return (torch.zeros(self.size, dtype=torch.uint8),)

    def fill(self, place: int, parts: Parts) -> None:
        self.read[place] = threading.current_thread().name
        if place in self.broken:
            raise OSError(5, f"place {place} is gone")
        parts[0].fill_(place % 251)

    def direct(self) -> set[int]:
        """Return what was read by the thread that asked."""
        return {place for place, who in self.read.items() if not who.startswith("pictures")}


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    made = Ahead(CPU)
    yield made
    made.close()
    assert not readers()


# Batches


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("draws", STEPS)
def test_batches_are_the_same_as_on_the_device(
    images: Callable[[bool], Images], view: str, draws: str
) -> None:
    near, far = (pack_of(images(on_host), VIEWS[view]) for on_host in (False, True))
    windows = near.renamed("window"), far.renamed("window")
    for step in range(1, 8):
        for name, *place in STEPS[draws](step):
            pair = windows if name == "window" else (near, far)
            method = "draw" if name == "window" else name
            (x, y), (other_x, other_y) = (getattr(one, method)(*place) for one in pair)
            assert x.dtype == other_x.dtype
            assert torch.equal(x, other_x)
            assert torch.equal(y, other_y)


def test_one_replica_alone_draws_the_same(images: Callable[[bool], Images]) -> None:
    pack = pack_of(images(True), VIEWS["cropped"])
    for step in range(4):
        together = pack.draw(step, 0)
        for r in range(3):
            alone = pack.single(r).draw(step, 0)
            assert all(torch.equal(a[0], b[r]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("shuffle", [None, 3])
@pytest.mark.parametrize("per_class", [0, 2])
@pytest.mark.parametrize("view", ["plain", "cropped"])
def test_sweeps_are_the_same_as_on_the_device(
    images: Callable[[bool], Images], view: str, per_class: int, shuffle: int | None
) -> None:
    near, far = (pack_of(images(on_host), VIEWS[view]) for on_host in (False, True))
    pairs = list(
        zip(near.sweep(3, per_class, shuffle), far.sweep(3, per_class, shuffle), strict=True)
    )
    assert len(pairs) == (7 if per_class == 0 else 4)
    for one, other in pairs:
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("stored", ["one by one", "beside each other"])
def test_strides_are_those_of_images_on_the_device(
    monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    pixels = np.zeros((40, 9, 9), np.uint8)
    pixels = pixels[:, None] if stored == "one by one" else pixels.reshape(40, 1, 9, 9)
    assert (pixels.strides[1] == 81) == (stored != "one by one")
    strides = []
    for room in (pixels.nbytes, 0):
        monkeypatch.setattr(batches_module, "DEVICE_BYTES", room)
        shown = Images.on(CPU, pixels, LABELS)
        pack = Batches(shown, SUBSETS[1:2], KEYS[:1], 8, torch.float32, view=GREY)
        found = [pack.draw(1, 0)[0], next(pack.sweep(4))[0], next(shown.swept(None, 4))]
        strides.append([x.stride() for x in found])
        shown.close()
    assert strides[0] == strides[1]


@pytest.mark.parametrize("view", [None, "plain", "cropped"])
def test_all_images_are_swept_the_same_as_on_the_device(
    images: Callable[[bool], Images], view: str | None
) -> None:
    shown = VIEWS[view] if view else None
    swept = [list(images(on_host).swept(None, 16, shown)) for on_host in (False, True)]
    assert [len(pixels) for pixels in swept[0]] == [16, 16, 8]
    for one, other in zip(*swept, strict=True):
        assert torch.equal(one, other)


def test_a_sweep_between_draws_changes_none(images: Callable[[bool], Images]) -> None:
    near, far = (pack_of(images(on_host), VIEWS["cropped"]) for on_host in (False, True))
    for step in range(6):
        assert torch.equal(near.draw(step, 0)[0], far.draw(step, 0)[0])
        if step in (2, 4):
            next(far.sweep(2))  # and the rest of it never


def test_nothing_reads_where_images_are_on_the_device(images: Callable[[bool], Images]) -> None:
    near = images(False)
    pack = pack_of(near, VIEWS["cropped"])
    for step in range(4):
        pack.draw(step, 0)
    list(pack.sweep(4))
    assert not readers()
    assert near.waited == 0.0


# What is foreseen


def drawn(ahead: Ahead, source: Recorded, places: list[int]) -> None:
    for place in places:
        (part,) = ahead.draw(source, place)
        assert part.unique().tolist() == [place % 251]


def places(draws: str, steps: range) -> list[int]:
    return [s * DRAWS_PER_STEP + t for step in steps for _, s, t in STEPS[draws](step)]


@pytest.mark.parametrize("draws", ["one", "several", "window"])
def test_from_the_third_step_on_other_threads_read(ahead: Ahead, draws: str) -> None:
    source = Recorded()
    drawn(ahead, source, places(draws, range(1, 3)))
    before = set(source.read)
    drawn(ahead, source, places(draws, range(3, 12)))
    assert source.direct() <= before
    assert len(source.read) > len(before)


def test_after_a_change_the_next_steps_are_foreseen_again(ahead: Ahead) -> None:
    one, other = Recorded(), Recorded()
    for source in (one, other):
        drawn(ahead, source, places("several", range(1, 10)))
        assert source.direct() == set(places("several", range(1, 3)))


def test_what_was_foreseen_wrongly_is_not_returned_and_ends(ahead: Ahead) -> None:
    source = Recorded()
    drawn(ahead, source, places("several", range(1, 6)))
    drawn(ahead, source, [5, 3, 9999, 4])
    assert {5, 3, 9999, 4} <= source.direct()


def test_no_more_are_begun_than_there_is_room_for(
    ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size, room in ((100, AHEAD), (400, 2), (5000, 1)):
        monkeypatch.setattr(module, "AHEAD_BYTES", 1000)
        source = Recorded(size)
        asked = places("one", range(1, 30))
        for done, place in enumerate(asked, start=1):
            ahead.draw(source, place)
            assert len(source.begun) == done + (room if done > 1 else 0)
        assert source.begun == sorted(set(source.begun))


def test_a_pass_begins_no_more_than_there_is_room_for(
    ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 1000)
    for size, room in ((100, AHEAD), (400, 2), (5000, 1)):
        source = Recorded(size)
        for done, (part,) in enumerate(ahead.each(source, range(20), ahead.waiting), start=1):
            assert int(part[0]) == done - 1
            assert len(source.begun) == min(20, done + room)
        assert source.begun == list(range(20))
        assert not source.direct()


# Errors


def test_an_error_reaches_who_asks_and_nobody_else(ahead: Ahead) -> None:
    source = Recorded()
    asked = places("one", range(1, 9))
    source.broken = {asked[5], asked[7] + DRAWS_PER_STEP}  # the last is foreseen, but never asked
    drawn(ahead, source, asked[:5])
    with pytest.raises(OSError, match=f"place {asked[5]} is gone"):
        ahead.draw(source, asked[5])
    drawn(ahead, source, asked[6:])
    source.broken.clear()
    drawn(ahead, source, asked)


def test_an_error_in_a_pass_reaches_who_asks(ahead: Ahead) -> None:
    source = Recorded()
    source.broken = {3}
    chunks = ahead.each(source, range(6), ahead.waiting)
    assert [int(next(chunks)[0][0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="place 3 is gone"):
        next(chunks)
    assert list(chunks) == []


# The end


def test_threads_end_when_it_is_closed_and_what_is_asked_later_is_read(ahead: Ahead) -> None:
    source = Recorded()
    drawn(ahead, source, places("one", range(1, 6)))
    assert readers()
    ahead.close()
    assert not readers()
    begun = len(source.begun)
    drawn(ahead, source, places("one", range(6, 12)))
    assert [int(p[0]) for (p,) in ahead.each(source, range(4), ahead.waiting)] == [0, 1, 2, 3]
    assert len(source.begun) == begun + 10
    assert not readers()
    ahead.close()


def test_threads_end_with_images_that_nobody_holds(images: Callable[[bool], Images]) -> None:
    pixels = np.zeros((8, 3, 9, 9), np.uint8)
    far = Images(torch.from_numpy(pixels), torch.zeros(8, dtype=torch.int64), Ahead(CPU))
    pack = Batches(far, [np.arange(8)], KEYS[:1], 2, torch.float32, view=VIEWS["cropped"])
    for step in range(4):
        pack.draw(step, 0)
    threads = readers()
    assert threads
    del pack, far
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not readers()


# The time


def test_the_time_that_who_asks_waits_or_reads_is_measured(
    ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"now": 0.0}
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock["now"])

    class Slow(Recorded):
        def fill(self, place: int, parts: Parts) -> None:
            super().fill(place, parts)
            if place in self.direct():
                clock["now"] += 2.0

    drawn(ahead, Slow(), places("several", range(1, 10)))
    assert ahead.waiting.seconds == 2.0 * 8  # those of the first two steps
    other = Waiting(CPU)
    list(ahead.each(Slow(), range(5), other))
    assert (ahead.waiting.seconds, other.seconds) == (16.0, 0.0)


def test_on_a_gpu_the_time_between_events_is_measured_without_waiting_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Event:
        now, passed = 0.0, 0.0

        def record(self, stream: object) -> None:
            self.at = Event.now

        def query(self) -> bool:
            return self.at <= Event.passed

        def elapsed_time(self, end: "Event") -> float:
            return end.at - self.at

    monkeypatch.setattr(module, "_event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    waiting = Waiting(torch.device("cuda"))
    for spent in (500.0, 250.0):
        with waiting.measured():
            Event.now += spent
        Event.now += 100.0
    assert waiting.seconds == 0.0
    Event.passed = 700.0
    assert waiting.seconds == 0.5
    Event.passed = 900.0
    assert waiting.seconds == waiting.seconds == 0.75


# Where images lie


def test_a_share_of_a_gpus_memory_may_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 80 * 2**30

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    assert room_on(torch.device("cuda", 1)) == 20 * 2**30
    assert room_on(CPU) == batches_module.DEVICE_BYTES


@pytest.mark.gpu
@pytest.mark.parametrize("view", VIEWS)
def test_a_gpu_is_given_the_same_batches(
    images: Callable[[bool], Images], monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    near = images(False)
    monkeypatch.setattr(batches_module, "DEVICE_SHARE", 0.0)
    far = Images.on(torch.device("cuda"), near.pixels.numpy(), LABELS)
    assert far.ahead is not None
    packs = [pack_of(one, VIEWS[view]) for one in (near, far)]
    kept = []
    for step in range(1, 60):
        for name in ("draw", "draw_balanced"):
            kept.append([getattr(pack, name)(step, 0) for pack in packs])
    kept += [[part[:2] for part in pair] for pair in zip(*(p.sweep(3) for p in packs), strict=True)]
    for one, other in kept:
        for a, b in zip(one, other, strict=True):
            assert b.device.type == "cuda"
            assert torch.equal(a, b.cpu())
    torch.cuda.synchronize()
    assert far.waited > 0
    far.close()
    assert not readers()


@pytest.mark.gpu
def test_a_gpu_that_is_busy_waits_for_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "DEVICE_SHARE", 0.0)
    pixels = np.zeros((64, 3, 64, 64), np.uint8)
    far = Images.on(torch.device("cuda"), pixels, np.zeros(64, np.int64))
    pack = Batches(far, [np.arange(64)], KEYS[:1], 32, torch.float32, view=VIEWS["plain"])
    pack.draw(1, 0)
    torch.cuda.synchronize()
    waited = [far.waited]
    for step in range(2, 8):
        torch.cuda._sleep(200_000_000)  # cycles, about a tenth of a second
        pack.draw(step, 0)
        torch.cuda.synchronize()
        waited.append(far.waited)
    assert all(after - before < 0.02 for before, after in pairwise(waited[2:]))
    far.close()

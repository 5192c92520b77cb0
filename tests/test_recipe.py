"""Recipes: every shipped one loads, departures from the paper are none where it gives numbers."""

from pathlib import Path

import pytest

from dfgctl import recipe as recipes
from dfgctl.contenders import RIVALS
from dfgctl.data.catalog import DATASETS
from dfgctl.departures import departures
from dfgctl.errors import SettingError, UnknownNameError
from dfgctl.recipe import Recipe
from dfgctl.settings import METHOD_SECTIONS

NAMES = recipes.names()


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Load the recipe of digits with a text replaced."""
    text = recipes.path_of("digits").read_text()

    def load(old: str, new: str) -> Recipe:
        assert text.count(old) >= 1
        (tmp_path / "digits.toml").write_text(text.replace(old, new, 1))
        monkeypatch.setattr(recipes, "folder", lambda: tmp_path)
        return recipes.load("digits")

    return load


def test_the_recipes_that_are_shipped_are_found() -> None:
    assert {"digits", "fmnist"} <= set(NAMES)
    assert [name for name in DATASETS if name in NAMES] == NAMES
    assert all(recipes.path_of(name).is_file() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_loads_and_has_its_files_name(name: str) -> None:
    recipe = recipes.load(name)
    assert recipe.name == name
    assert recipe.sources
    for method in METHOD_SECTIONS:
        assert recipe.steps(method) >= recipe.run.eval_every


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_says_in_its_header_what_it_makes_and_with_which_command(name: str) -> None:
    lines = recipes.path_of(name).read_text().splitlines()
    comment = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    header = "\n".join(comment)
    assert header.startswith(f"# {name}: ")
    for part in ("# Makes ", "# Command ", f"dfgctl run {name}"):
        assert part in header


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fmnist'"):
        recipes.load("fmnits")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[dfg]", "[dfg]\nrhoo = 0.5", r"dfg\.rhoo: there is no such setting"),
        ('name = "digits"', 'name = "digits"\nnmae = 1', "nmae: there is no such setting"),
        ("rho = 0.75", 'rho = "much"', r"dfg\.rho: input should be a valid number"),
        ("rho = 0.75", "rho = 1.5", r"dfg\.rho: input should be less than or equal to 1"),
        ("rho = 0.75", "rho = nan", r"dfg\.rho: input should be"),
        ("delta = 0.95", "delta = inf", r"dfg\.delta: input should be a finite number"),
        ("n_D = 1", "n_D = 0", r"dfg\.n_D: input should be greater than 0"),
        ("n_D = 1", "n_D = 2.5", r"dfg\.n_D: input should be a valid integer"),
        ("steps = 600", "steps = -1", r"steps: input should be greater than 0"),
        ("lr = 1e-3", "lr = 0", r"lr: input should be greater than 0"),
        ("alpha = 0.333", "alpha = 0.9", r"dfg: alpha \+ beta \+ gamma must be 1"),
        ("majority = 2", "majority = 0", r"imbalance\.majority: input should be"),
        ("repeats = 10", "", r"run\.repeats: field required"),
        ('ratio = "10:1"', 'ratio = "ten"', r"imbalance\.ratio: 'ten' is no imbalance"),
        ('ratio = "10:1"', "ratio = 10", r"imbalance\.ratio: input should be a valid string"),
        ("[imbalance]", "[imbalance", "is no TOML"),
        ("ratio", "ratio = 1\nratio", "is no TOML"),
    ],
)
def test_what_a_recipe_cannot_say_is_an_error_that_names_the_place(
    edited,  # type: ignore[no-untyped-def]
    old: str,
    new: str,
    says: str,
) -> None:
    with pytest.raises(SettingError, match=says) as error:
        edited(old, new)
    assert "digits" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('sources = ["glyphs"]', 'sources = ["glyfs"]', "did you mean 'glyphs'"),
        ('sources = ["glyphs"]', 'sources = ["digits"]', "Unknown source data set"),
        ('name = "digits"', 'name = "glyphs"', "Unknown target data set"),
    ],
)
def test_a_recipe_names_only_data_sets_that_can_serve(
    edited,  # type: ignore[no-untyped-def]
    old: str,
    new: str,
    says: str,
) -> None:
    with pytest.raises(UnknownNameError, match=says):
        edited(old, new)


def test_a_recipe_cannot_be_changed_in_place() -> None:
    recipe = recipes.load("digits")
    with pytest.raises(ValueError, match="frozen"):
        recipe.dfg.rho = 0.5  # type: ignore[misc]


# The paper's numbers


def test_fmnists_dfg_settings_are_those_of_appendix_a() -> None:
    # Appendix A, "LeNet-5: LeNet-5 model was used for SVHN and Fashion-MNIST", and, for n_D and
    # lambda, the caption of Algorithm 1.
    assert recipes.load("fmnist").dfg.values() == {
        "steps": 20_000,
        "batch_size": 64,
        "eta_E": 1e-5,
        "eta_C": 1e-5,
        "eta_G": 1e-4,
        "eta_D": 1e-4,
        "beta1": 0.5,
        "beta2": 0.9,
        "optimizer": "adam",
        "momentum": 0.9,  # of sgd, which is not taken
        "lr_decay_step": 0,
        "n_D": 5,
        "n_C1": 2,
        "n_C2": 10,
        "n_W": 5000,
        "rho": 0.75,
        "delta": 0.95,
        "alpha": 0.333,
        "beta": 0.333,
        "gamma": 0.333,
        "gp_lambda": 10,
        "noise": 100,  # F20
        "weight_images": 0,  # F13: all images of a class
    }


def test_fmnists_imbalance_is_the_papers() -> None:
    # Table 1: 6,000 images of a majority class; section 4.1: every combination of two classes.
    recipe = recipes.load("fmnist")
    assert recipe.imbalance.ratio == "40:1"
    assert recipe.imbalance.majority_count == 6000
    assert recipe.imbalance.majority == 2
    assert recipe.run.repeats == 45
    assert recipe.backbone == "lenet5"
    assert recipe.sources[0] == "emnist-digits"


def test_regularisers_are_those_of_the_ledger() -> None:
    # F18 and F17: 0.01 both, softmax(w/5), 4 batches; a new head for 10 epochs at 0.01.
    assert recipes.load("fmnist").reg.values() == {
        "alpha": 0.01,
        "beta": 0.01,
        "temperature": 5.0,
        "weight_batches": 4,
        "head_epochs": 10,
        "head_lr": 0.01,
    }


def test_digits_updates_its_filter_weights_often_enough_for_rho_to_matter() -> None:
    settings = recipes.load("digits").dfg
    assert settings.n_W <= settings.steps / 4


# --set


@pytest.mark.parametrize(
    ("key", "text", "values"),
    [
        ("dfg.rho", "0,0.5, 1 ", [0.0, 0.5, 1.0]),
        ("dfg.n_W", "200", [200]),
        ("source.seed", "0,1", [0, 1]),
        ("original.lr", "1e-3", [0.001]),
        ("imbalance.majority_count", "40,80", [40, 80]),
    ],
)
def test_values_are_read_in_their_settings_type(key: str, text: str, values: list[float]) -> None:
    read = recipes.parse_values(key, text)
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("dfg.rho", "1.5", "dfg.rho cannot be '1.5': input should be less than or equal to 1"),
        ("dfg.rho", "0.5,-1", "cannot be '-1'"),
        ("dfg.rho", "abc", "cannot be 'abc': input should be a valid number"),
        ("dfg.rho", "", "cannot be ''"),
        ("dfg.rho", "0.5,", "cannot be ''"),
        ("dfg.n_W", "0", "greater than 0"),
        ("dfg.n_W", "2.5", "valid integer"),
        ("dfg.n_D", "64", "less than 64"),
        ("dfg.eta_E", "0", "greater than 0"),
        ("dfg.batch_size", "1", "greater than 1"),
        ("dfg.beta1", "1", "less than 1"),
        ("dfg.rho", "0.5,0.50", "names a value twice"),
    ],
)
def test_values_of_another_type_or_out_of_range_are_refused(key: str, text: str, says: str) -> None:
    with pytest.raises(SettingError) as error:
        recipes.parse_values(key, text)
    assert says in str(error.value)
    assert key in str(error.value)


KEYS = recipes.keys()
NUMBERS = [key for key in KEYS if key != "imbalance.ratio"]


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_no_setting_takes_what_is_no_finite_number(key: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"{key} cannot be '{text}'"):
        recipes.parse_values(key, text)


@pytest.mark.parametrize("key", NUMBERS)
def test_every_setting_is_described_when_it_is_refused(key: str) -> None:
    with pytest.raises(SettingError, match=r"It is: \S"):
        recipes.parse_values(key, "abc")


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("dfg.roh", "dfg.rho"),
        ("dfg.n_w", "dfg.n_W"),
        ("orginal.lr", "original.lr"),
        ("dfg", None),
        ("tuning.seeds", None),
        ("name", None),
        ("", None),
    ],
)
def test_an_unknown_setting_is_answered_with_the_nearest(key: str, near: str | None) -> None:
    with pytest.raises(SettingError, match=f"Unknown setting '{key}'") as error:
        recipes.parse_values(key, "1")
    if near is not None:
        assert f"did you mean '{near}'?" in str(error.value)
    assert "dfgctl recipe show" in str(error.value)


def test_the_keys_of_set_are_those_that_the_recipe_has() -> None:
    recipe = recipes.load("digits")
    for key in KEYS:
        section, _, name = key.partition(".")
        assert name in recipe.section(section).values()
    assert "dfg.rho" in KEYS
    assert not any(key.startswith(("tuning.", "cost.")) for key in KEYS)


# Changes and departures


def test_changed_settings_leave_the_rest_and_the_recipe_itself_as_they_were() -> None:
    recipe = recipes.load("digits")
    changed = recipe.with_settings({"dfg.rho": 0.5, "original.lr": 0.1})
    assert (changed.dfg.rho, changed.original.lr) == (0.5, 0.1)
    assert (recipe.dfg.rho, recipe.original.lr) == (0.75, 1e-2)
    assert changed.with_settings({"dfg.rho": 0.75, "original.lr": 1e-2}) == recipe
    assert recipe.with_settings({}) == recipe


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dfg.alpha": 0.9}, "set all three together"),
        ({"dfg.rho": 2.0}, "less than or equal to 1"),
        ({"imbalance.ratio": "abc"}, "no imbalance"),
    ],
)
def test_changes_that_cannot_be_are_refused_as_settings(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        recipes.load("digits").with_settings(changes)


def test_alpha_beta_and_gamma_can_be_changed_together() -> None:
    changed = recipes.load("digits").with_settings(
        {"dfg.alpha": 0.5, "dfg.beta": 0.25, "dfg.gamma": 0.25}
    )
    assert changed.dfg.alpha == 0.5


def settings_of(recipe: Recipe, method: str) -> dict[str, dict[str, object]]:
    return {name: recipe.section(name).values() for name in METHOD_SECTIONS[method]}


@pytest.mark.parametrize("method", METHOD_SECTIONS)
def test_a_recipes_own_settings_depart_in_nothing(method: str) -> None:
    recipe = recipes.load("digits")
    assert departures(recipe, settings_of(recipe, method)) == []


def test_departures_name_each_changed_setting_that_the_method_reads() -> None:
    recipe = recipes.load("digits")
    changes = {"dfg.rho": 0.5, "dfg.n_W": 50, "reg.alpha": 0.0, "original.lr": 0.5}
    changed = recipe.with_settings(changes)
    found = {m: departures(recipe, settings_of(changed, m)) for m in METHOD_SECTIONS}
    assert found == {
        "original": ["original.lr=0.5"],
        "finetune": [],
        "delta": ["reg.alpha=0"],
        "difa": [],
        "dfg": ["dfg.n_W=50", "dfg.rho=0.5", "reg.alpha=0"],
        **{rival: [] for rival in RIVALS},
    }


def test_a_rivals_section_takes_from_original_what_it_leaves_out(edited) -> None:  # type: ignore[no-untyped-def]
    recipe = edited("[finetune]", "[ldam]\nlr = 0.5\nmargin = 0.3\n\n[finetune]")
    plain = recipe.original.values()
    assert recipe.ldam.values().items() >= {**plain, "lr": 0.5, "margin": 0.3}.items()
    assert recipe.balanced.values() == {**plain, "init": "random"}


def test_two_values_never_depart_in_the_same_words() -> None:
    # Rows of a table are told apart by these words.
    recipe = recipes.load("digits")
    words = {
        tuple(departures(recipe, {"dfg": {"rho": rho}}))
        for rho in (0.75, 0.7500001, 0.1234567, 0.1234568)
    }
    assert len(words) == 4
    assert departures(recipe, {"dfg": {"rho": 0.7500001}}) != ["dfg.rho=0.75"]

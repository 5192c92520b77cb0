"""The keys of ``--set``, with what they are: for a shell that completes them."""

from typing import Any, Literal, get_args, get_origin

from dfgctl import recipe


def described(extra: recipe.Extra | None = None) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what each key of ``--set`` is, with its values where it takes no others than these.

    Args:
        extra: sections that are no recipe's, by name.
    """
    models = {section: recipe.model_of(section) for section in recipe.SETTABLE} | dict(extra or {})
    return {
        f"{section}.{name}": (field.description or "", _choices(field.annotation))
        for section, model in models.items()
        for name, field in model.model_fields.items()
    }


def _choices(annotation: Any) -> tuple[str, ...]:
    """Return the values of a Literal, also of one that may be left out; none of another type."""
    for kind in (annotation, *get_args(annotation)):
        if get_origin(kind) is Literal:
            return tuple(str(value) for value in get_args(kind))
    return ()

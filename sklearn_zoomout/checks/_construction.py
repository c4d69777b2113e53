"""Checks of constructors, parameters, clones and pictures of an estimator."""

import ast
import copy
import inspect
import textwrap
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.utils import Tags, estimator_html_repr, get_tags

from ._comparing import (
    digest_params,
    errors_fail,
    estimators_in,
    fitted,
    is_composition,
    require,
    require_refusal,
    skip,
)
from ._given import Given


def check_init_only_stores(estimator: Any, given: Given) -> None:
    """__init__ stores every argument without a copy, a conversion or a check."""
    arguments = {name: object() for name in estimator.get_params(deep=False)}
    with errors_fail("__init__ looks at its arguments"):
        built = vars(type(estimator)(**arguments))
    surplus = sorted(set(built) ^ set(arguments))
    require(not surplus, f"__init__ sets other attributes than arguments: {surplus}")
    for name, value in arguments.items():
        require(built[name] is value, f"__init__ changes {name}")


def check_params_round_trip(estimator: Any, given: Given) -> None:
    """set_params(**get_params()) changes nothing."""
    before = estimator.get_params(deep=False)
    with errors_fail("set_params refuses what get_params returns"):
        returned = estimator.set_params(**before)
    require(returned is estimator, "set_params does not return self")
    after = estimator.get_params(deep=False)
    require(list(after) == list(before), "set_params changes the list of parameters")
    for name, value in before.items():
        require(after[name] is value, f"set_params changes {name}")


def check_params_can_be_set(estimator: Any, given: Given) -> None:
    """Every parameter can be set to any value, which is looked at in fit."""
    for name in estimator.get_params(deep=False):
        mark = object()
        with errors_fail(f"set_params looks at the value of {name}"):
            changed = clone(estimator).set_params(**{name: mark})
        value = changed.get_params(deep=False)[name]
        require(value is mark, f"{name} cannot be set")


def check_deep_params(estimator: Any, given: Given) -> None:
    """get_params() has the parameters of get_params(deep=False), and those inside."""
    shallow, deep = estimator.get_params(deep=False), estimator.get_params(deep=True)
    missing = sorted(set(shallow) - set(deep))
    require(not missing, f"get_params(deep=True) lacks {missing}")
    for name, value in shallow.items():
        if not hasattr(value, "get_params") or isinstance(value, type):
            continue
        inside = {f"{name}__{inner}" for inner in value.get_params()}
        missing = sorted(inside - set(deep))
        require(not missing, f"get_params(deep=True) lacks {missing}")


def check_unknown_param_is_refused(estimator: Any, given: Given) -> None:
    """set_params refuses a parameter that does not exist, and names it."""
    require_refusal(
        lambda: clone(estimator).set_params(no_such_parameter=1),
        "an unknown parameter",
        ["no_such_parameter"],
    )


def check_clone_keeps_params(estimator: Any, given: Given) -> None:
    """A clone is another object with equal parameters."""
    with errors_fail("it cannot be cloned"):
        cloned = clone(estimator)
    require(cloned is not estimator, "clone returns the estimator itself")
    require(type(cloned) is type(estimator), "clone returns another class")
    before, after = digest_params(estimator), digest_params(cloned)
    changed = sorted(name for name in before if after.get(name) != before[name])
    require(not changed, f"clone changes {changed}")


def check_clone_is_not_fitted(estimator: Any, given: Given) -> None:
    """A clone of a fitted estimator has nothing that it learned."""
    before = set(vars(clone(estimator)))
    learned = copy.copy(estimator).fit(given.X, given.y)
    kept = sorted(set(vars(clone(learned))) - before)
    require(not kept, f"clone keeps what was learned: {kept}")


def check_repr(estimator: Any, given: Given) -> None:
    """It prints as its class, and in the same way before and after a fit."""
    estimator = clone(estimator)
    with errors_fail("it cannot be printed"):
        before = repr(estimator)
        str(estimator)
    name = type(estimator).__name__
    require(name in before, f"it prints without its class, {name}")
    estimator.fit(given.X, given.y)
    with errors_fail("it cannot be printed after fit"):
        after = repr(estimator)
    require(after == before, "it prints otherwise after fit")


def check_html_repr(estimator: Any, given: Given) -> None:
    """Notebooks show it, also after a fit."""
    for shown in (estimator, fitted(estimator, given)):
        with errors_fail("a notebook cannot show it"):
            html = estimator_html_repr(shown)
        name = type(estimator).__name__
        require(name in html, f"a notebook shows it without its class, {name}")


def check_tags(estimator: Any, given: Given) -> None:
    """Its tags say that its input is no table of numbers, and whether it needs masks.

    scikit-learn asks them before it checks input, and `check_estimator` too.
    """
    with errors_fail("it has no tags"):
        tags = get_tags(estimator)
    require(isinstance(tags, Tags), f"its tags are {type(tags).__name__}, not Tags")
    require(isinstance(tags.requires_fit, bool), "the tag requires_fit is no boolean")
    if is_composition(estimator) or hasattr(estimator, "estimator"):
        return  # scikit-learn's own tags of pipelines and searches do not tell
    two_d = tags.input_tags.two_d_array
    require(not two_d, "the tag input_tags.two_d_array is True; set it to False")
    if given.kind.output == "labels":
        required = tags.target_tags.required
        require(required, "the tag target_tags.required is False; masks are needed")


def check_is_no_classifier_of_sklearn(estimator: Any, given: Given) -> None:
    """scikit-learn does not take it for a classifier, as it would stratify by masks."""
    message = "scikit-learn takes it for a classifier; leave ClassifierMixin out"
    require(not is_classifier(estimator), message)


def check_signature_of_fit(estimator: Any, given: Given) -> None:
    """Fit takes the input and masks, by position."""
    parameters = list(inspect.signature(estimator.fit).parameters.values())
    positional = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
    require(len(positional) >= 2, "fit does not take two arguments, input and masks")
    needed = [p.name for p in parameters[2:] if p.default is p.empty]
    needed = [n for n in needed if not _is_variable(parameters, n)]
    require(not needed, f"fit needs more than input and masks: {needed}")


def _is_variable(parameters: list[inspect.Parameter], name: str) -> bool:
    kinds = {p.name: p.kind for p in parameters}
    variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return kinds[name] in variable


def check_no_assert_statement(estimator: Any, given: Given) -> None:
    """No method relies on `assert`, which ``python -O`` leaves out.

    ``assert ... is not None`` is allowed. It tells type checkers what None would show
    in the next line.
    """
    seen = 0
    for cls in {c for e in estimators_in(estimator) for c in type(e).__mro__}:
        if cls.__module__.partition(".")[0] in ("builtins", "sklearn", "abc"):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(cls))
        except (OSError, TypeError):
            continue
        seen += 1
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assert) and not _is_not_none(node.test):
                raise AssertionError(
                    f"{cls.__name__} has the statement `{ast.unparse(node)}`, which "
                    "does nothing under python -O; raise an error instead"
                )
    if not seen:
        skip("its source cannot be read")


def _is_not_none(test: ast.expr) -> bool:
    return ast.unparse(test).endswith(" is not None")

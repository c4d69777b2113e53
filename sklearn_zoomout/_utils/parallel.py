"""Work on images in parallel, with results as they come where the backend can."""

from collections.abc import Iterable
from typing import Any

from joblib import Parallel


def run_in_turn(tasks: Iterable[Any], n_jobs: int | None, **options: Any) -> Any:
    """Run tasks, and return their results in order.

    Parameters
    ----------
    tasks : iterable
        What `joblib.delayed` returns.
    n_jobs : int or None
        Number of tasks at once, in threads, or as `joblib.parallel_config` says.
    **options
        Of `joblib.Parallel`.

    Returns
    -------
    iterable
        The results as they come. The backend "multiprocessing" cannot do that; it
        returns all of them together.
    """
    options["prefer"] = "threads"
    try:
        parallel = Parallel(n_jobs, return_as="generator", **options)
    except ValueError:
        parallel = Parallel(n_jobs, **options)
    return parallel(tasks)

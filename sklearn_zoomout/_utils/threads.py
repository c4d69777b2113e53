"""One thread for small work, which more threads slow down."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, numpy and scipy compute on one thread, and restore the setting after.

    See `one_torch_thread`.

    Yields
    ------
    None
    """
    with one_torch_thread(), threadpool_limits(1, user_api="blas"):
        yield


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute on one thread, and restore the setting after.

    Threads wait for each other at the end of every product. If the products are small,
    and another program has one of the cores, most of the time is spent waiting.

    Yields
    ------
    None
        The setting of torch is restored for the thread that called, also after an
        error. A thread that first uses torch meanwhile begins with one thread.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)

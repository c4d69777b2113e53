"""One thread for small work, which more threads slow down."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

#: The process that has imported this file; another one has it from a fork.
_IMPORTED_BY = os.getpid()


def limit_after_fork() -> None:
    """Let torch compute on one thread if this process was forked from another one.

    The threads of OpenMP are those of the process before. If torch has used them there,
    it would wait for them here without end. The setting is not restored, since any
    later work of torch would wait too.
    """
    if os.getpid() == _IMPORTED_BY:
        return
    import torch

    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


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

"""What the processes of ``faults.py`` do: write the same files again and again."""

import itertools
import warnings

import numpy as np

from sklearn_zoomout import FeatureCache, RegionFeatures, save_model, store_features
from sklearn_zoomout.cache import entry_key

N_KEYS, N_VALUES = 40, 2000
MAX_BYTES = 30 * 8 * N_VALUES  # less than all entries, so that some are removed


class Size(RegionFeatures):
    """A block of one row per image: its height and width."""

    block_name = "size"
    per_image = True

    def describe(self, segmented):
        return np.array(segmented.shape)

    def column_names(self):
        return ["height", "width"]


def entry(i):
    """Return the key of an entry and its only right array."""
    values = np.random.default_rng(i).normal(size=N_VALUES + i)
    return entry_key("faults", str(i)), values


def save_models(path, models):
    """Save one model after the other in the same file."""
    for model in itertools.cycle(models):
        save_model(model, path)


def fill_cache(folder):
    """Write all entries."""
    cache = FeatureCache(folder, MAX_BYTES)
    for i in itertools.cycle(range(N_KEYS)):
        cache.put(*entry(i))


def store(folder, transformer, images):
    """Store features once."""
    store_features(transformer, images, folder, images_at_once=1)


def share_cache(folder, seed, n_calls):
    """Read and write entries that other processes use too; return the wrong ones."""
    warnings.simplefilter("error")
    cache, rng = FeatureCache(folder, MAX_BYTES), np.random.default_rng(seed)
    n_wrong = 0
    for _ in range(n_calls):
        key, values = entry(int(rng.integers(N_KEYS)))
        got = cache.get(key)
        if got is None:
            cache.put(key, values)
        else:
            n_wrong += not np.array_equal(got, values)
    return n_wrong


def tell_and_run(ready, function, *args):
    """Tell the parent that the process is warm, and call a function."""
    ready.send_bytes(b"")
    function(*args)

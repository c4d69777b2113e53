from ._block import Block as Block
from ._check_table import check_table as check_table
from ._feature_table import FeatureTable as FeatureTable
from ._open import open_features as open_features
from ._store import store_features as store_features

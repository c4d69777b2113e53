from ._gate import check_masks as check_masks
from ._gate import iter_masks as iter_masks
from ._gate import iter_training_masks as iter_training_masks
from ._labels import UNLABELED as UNLABELED
from ._labels import distinct_labels as distinct_labels
from ._labels import is_small as is_small
from ._marked import mark_unlabeled as mark_unlabeled

from ._kind import KINDS as KINDS
from ._run import CheckResults as CheckResults
from ._run import check_image_estimator as check_image_estimator
from ._run import image_checks_generator as image_checks_generator
from ._run import parametrize_with_image_checks as parametrize_with_image_checks
from ._trial import kind_of_estimator as kind_of_estimator

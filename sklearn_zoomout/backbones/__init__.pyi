from ._backbone import Backbone as Backbone
from ._loading import load_network as load_network
from ._names import known_backbones as known_backbones
from ._network import Network as Network
from ._training import FineTuning as FineTuning
from ._training import Training as Training

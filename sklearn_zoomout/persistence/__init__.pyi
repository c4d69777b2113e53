from ._info import ModelInfo as ModelInfo
from ._load import load_model as load_model
from ._load import model_info as model_info
from ._save import save_model as save_model

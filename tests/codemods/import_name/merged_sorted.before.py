import os
from .store import audit, stock; from .other import y

import os
from .store import audit, lock as store_lock, stock; from .other import y

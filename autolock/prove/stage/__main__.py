"""What the application's interpreter runs: `python .../stage SOCKET`. The package goes by a name that no
application has.
"""

import importlib.util
import pathlib
import sys


def _load() -> None:
    folder = pathlib.Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "_autolock_stage", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["_autolock_stage"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    sys.path.pop(0)
    _load()
    importlib.import_module("_autolock_stage.serve").main(int(sys.argv[1]))

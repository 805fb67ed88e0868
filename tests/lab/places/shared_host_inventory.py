"""The lab's guest as a host that others lived on, whose own Ollama's models are adopted; see test_shared_host.py."""

import runpy as _runpy

((_name, _data),) = _runpy.run_path("inventory/lab.py")["lab"]
lived_in = [(_name, {**_data, "ollama_models_dir": "/usr/share/ollama/.ollama"})]

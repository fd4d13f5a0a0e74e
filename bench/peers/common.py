"""What the scripts of this folder share: the case that `go run ./bench/peers` made, and how they report."""
import json
import sys
import time

import numpy as np
from safetensors.numpy import load_file


def case():
    """The case, and its sequences as arrays: time feature, standardised log gap, log gap (B, 21), marks (B, 21)."""
    folder = sys.argv[1]
    c = json.load(open(folder + "/case.json"))
    weights = load_file(folder + "/weights.safetensors")

    def arrays(sequences):
        gaps = np.array([s["gaps"] for s in sequences])
        log = np.log(np.maximum(gaps, 1e-10))
        feature = (np.log(np.maximum(gaps, 1e-10) + 1e-8) - c["mean_log_inter_time"]) / c["std_log_inter_time"]
        x = (log - c["mean_log_inter_time"]) / c["std_log_inter_time"]
        marks = np.array([s["marks"] for s in sequences])
        return feature.astype(np.float32), x.astype(np.float32), log.astype(np.float32), marks

    return c, weights, arrays(c["training"]), arrays(c["validation"])


def timed(name, c, epoch):
    """Call epoch(order) -> validation loss for each epoch, and print losses and times as one line of JSON."""
    losses, milliseconds = [], []
    for order in c["orders"]:
        start = time.perf_counter()
        losses.append(float(epoch(np.array(order))))
        milliseconds.append((time.perf_counter() - start) * 1000)
    print(json.dumps({"name": name, "losses": losses, "milliseconds": milliseconds}))

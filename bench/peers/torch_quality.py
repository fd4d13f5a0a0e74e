"""The paper's training in PyTorch to its end: the model of torch_lean.py, the paper's settings, early stopping.

    python torch_quality.py FOLDER THREADS SECONDS

Prints one line of JSON: after each epoch the validation loss by the density of the gaps (which the paper stops by), that by the probability of their
ticks of the clock, and the seconds since training began. Scoring by ticks is not part of the training, and its time is left out.
"""
import json
import sys
import time

import torch

from common import case
from torch_lean import Model, log_likelihood_of_ticks


def main():
    torch.set_num_threads(int(sys.argv[2]))
    limit = float(sys.argv[3])
    c, weights, training, validation = case()
    torch.manual_seed(c["seed"])
    model = Model(c)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    feature, x, log, marks = (torch.from_numpy(a) for a in training)
    vf, vx, vlog, vmarks = (torch.from_numpy(a) for a in validation)
    jacobian = (vlog[:, 1:].double().sum() + vlog[:, 1:].numel() * model.log_std).item()
    gaps = torch.tensor([s["gaps"][1:] for s in c["validation"]], dtype=torch.float64)
    adam = torch.optim.Adam(model.parameters(), c["learning_rate"], weight_decay=c["weight_decay"])
    size, events = c["batch_size"], marks.shape[1] - 1
    losses, ticks, seconds = [], [], []
    best, aside, stopped = 0, 0.0, "patience"
    start = time.perf_counter()
    while len(losses) - best < c["patience"]:
        if len(losses) == c["max_epochs"]:
            stopped = "epochs"
            break
        if limit and time.perf_counter() - start > limit:
            stopped = "time"
            break
        for rows in torch.randperm(len(marks)).split(size):
            loss = -model.log_likelihood(feature[rows], x[rows], marks[rows]) / (len(rows) * events)
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            losses.append((jacobian - model.log_likelihood(vf, vx, vmarks).item()) / (len(vf) * events))
            seconds.append(time.perf_counter() - start - aside)
            if losses[-1] <= min(losses):
                best = len(losses)
            before = time.perf_counter()
            ticks.append(-log_likelihood_of_ticks(model, vf, vmarks, gaps).item() / (len(vf) * events))
            aside += time.perf_counter() - before
    print(json.dumps({"name": "PyTorch, the paper's settings", "losses": losses, "ticks": ticks, "seconds": seconds, "stopped": stopped}))


main()

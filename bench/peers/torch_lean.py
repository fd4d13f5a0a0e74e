"""The paper's model in PyTorch without anything that costs time: tensors are made once, batches are rows of them, the fused
GRU of torch.nn does the recurrence, the mixture's density is written out.

    python torch_lean.py FOLDER THREADS
"""
import math
import sys

import torch
from torch import nn

from common import case, timed


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, e, k, m = c["context_size"], c["mark_embedding_size"], c["num_mix_components"], c["num_marks"]
        self.mean, self.std = c["mean_log_inter_time"], c["std_log_inter_time"]
        self.log_std = math.log(self.std)
        self.context_init = nn.Parameter(torch.zeros(d))
        self.mark_embedding = nn.Embedding(m, e)
        self.rnn = nn.GRU(1 + e, d, batch_first=True)
        self.linear = nn.Linear(d, 3 * k)
        self.mark_linear = nn.Linear(d, m)

    def contexts(self, feature, marks):
        """Encoder output after each event but the last, (B, L - 1, D)."""
        inputs = torch.cat([feature[:, :-1].unsqueeze(-1), self.mark_embedding(marks[:, :-1])], -1)
        return self.rnn(inputs)[0]

    def log_likelihood(self, feature, x, marks):
        """Sum over events but the first of each sequence, up to the Jacobian. All (B, L)."""
        h = self.contexts(feature, marks)
        loc, log_scale, logit = self.linear(h).chunk(3, -1)
        z = (x[:, 1:].unsqueeze(-1) - loc) * (-log_scale).exp()
        a = logit - log_scale - 0.5 * z * z
        time = torch.logsumexp(a, -1) - torch.logsumexp(logit, -1) - 0.5 * math.log(2 * math.pi)
        mark = torch.nn.functional.cross_entropy(self.mark_linear(h).flatten(0, 1), marks[:, 1:].flatten(), reduction="sum")
        return time.sum() - mark


def log_likelihood_of_ticks(model, feature, marks, gaps):
    """Sum over events but the first of the log probabilities of mark and gap +- half a tick of 1, in float64. gaps (B, L - 1)."""
    h = model.contexts(feature, marks)
    loc, log_scale, logit = model.linear(h).double().chunk(3, -1)

    def u(gap):  # standardised: (B, L - 1, K)
        return ((gap.log() - model.mean) / model.std).unsqueeze(-1).sub(loc) * (-log_scale).exp()

    upper = u(gaps + 0.5)
    lower = torch.where(gaps.unsqueeze(-1) > 0.5, u((gaps - 0.5).clamp(min=1e-300)), torch.full_like(upper, -math.inf))
    # By symmetry to the lower tail, where the difference of two probabilities keeps its digits.
    flip = lower > 0
    a, b = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    top = torch.special.log_ndtr(b)
    mass = top + torch.log1p(-(torch.special.log_ndtr(a) - top).exp().clamp(max=1 - 1e-12))
    time = torch.logsumexp(logit.log_softmax(-1) + mass, -1)
    mark = torch.nn.functional.cross_entropy(model.mark_linear(h).flatten(0, 1), marks[:, 1:].flatten(), reduction="sum")
    return time.sum() - mark.double()


def main():
    torch.set_num_threads(int(sys.argv[2]))
    c, weights, training, validation = case()
    model = Model(c)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    feature, x, log, marks = (torch.from_numpy(a) for a in training)
    vf, vx, vlog, vmarks = (torch.from_numpy(a) for a in validation)
    jacobian = (vlog[:, 1:].double().sum() + vlog[:, 1:].numel() * model.log_std).item()
    adam = torch.optim.Adam(model.parameters(), c["learning_rate"], weight_decay=c["weight_decay"])
    size, events = c["batch_size"], marks.shape[1] - 1

    def epoch(order):
        order = torch.from_numpy(order)
        for i in range(0, len(order), size):
            rows = order[i : i + size]
            loss = -model.log_likelihood(feature[rows], x[rows], marks[rows]) / (len(rows) * events)
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            return (jacobian - model.log_likelihood(vf, vx, vmarks).item()) / (len(vf) * events)

    timed("torch lean", c, epoch)


if __name__ == "__main__":
    main()

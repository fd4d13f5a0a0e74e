"""The paper's model in PyTorch as one writes it: torch.distributions for the mixture, DataLoader for the batches.

    python torch_idiomatic.py FOLDER THREADS
"""
import sys

import torch
from torch import nn
from torch.distributions import (AffineTransform, Categorical, ExpTransform, MixtureSameFamily, Normal,
                                 TransformedDistribution)
from torch.utils.data import DataLoader, Dataset

from common import case, timed


class Sequences(Dataset):
    def __init__(self, feature, x, log, marks):
        self.rows = [tuple(torch.from_numpy(a[i]) for a in (feature, log, marks)) for i in range(len(marks))]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


class LogNormMix(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, e, k, m = c["context_size"], c["mark_embedding_size"], c["num_mix_components"], c["num_marks"]
        self.mean, self.std = c["mean_log_inter_time"], c["std_log_inter_time"]
        self.context_init = nn.Parameter(torch.zeros(d))
        self.mark_embedding = nn.Embedding(m, e)
        self.rnn = nn.GRU(1 + e, d, batch_first=True)
        self.linear = nn.Linear(d, 3 * k)
        self.mark_linear = nn.Linear(d, m)

    def forward(self, feature, log, marks):
        """Mean negative log likelihood per event."""
        inputs = torch.cat([feature.unsqueeze(-1), self.mark_embedding(marks)], -1)
        context = self.rnn(inputs)[0][:, :-1]
        loc, log_scale, logit = self.linear(context).chunk(3, -1)
        mixture = MixtureSameFamily(Categorical(logits=logit), Normal(loc, log_scale.exp()))
        inter_time = TransformedDistribution(mixture, [AffineTransform(self.mean, self.std), ExpTransform()])
        time = inter_time.log_prob(log[:, 1:].exp())
        mark = Categorical(logits=self.mark_linear(context)).log_prob(marks[:, 1:])
        return -(time + mark).mean()


def main():
    torch.set_num_threads(int(sys.argv[2]))
    c, weights, training, validation = case()
    model = LogNormMix(c)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    data, held_out = Sequences(*training), Sequences(*validation)
    adam = torch.optim.Adam(model.parameters(), c["learning_rate"], weight_decay=c["weight_decay"])

    def epoch(order):
        for batch in DataLoader(data, batch_size=c["batch_size"], sampler=order.tolist()):
            adam.zero_grad()
            model(*batch).backward()
            adam.step()
        with torch.no_grad():
            losses = [(model(*batch), len(batch[0])) for batch in DataLoader(held_out, batch_size=c["batch_size"])]
        return sum(l.item() * n for l, n in losses) / sum(n for _, n in losses)

    timed("torch idiomatic", c, epoch)


main()

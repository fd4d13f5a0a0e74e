"""Load a LogNormMix model of tpp into torch.nn.GRU (or RNN, LSTM) and score a dataset with it.

    pip install torch safetensors
    python load_model.py models/low_tree_small_det.lognormmix.safetensors data/low_tree_small_det.json.gz

prints nll_time and nll_mark, as `tpp evaluate MODEL DATASET -part all` does. A model file is a safetensors file: the tensors have
PyTorch's names and layouts, and everything else stands as JSON in its metadata under the key "tpp".
"""
import gzip
import json
import math
import sys

import torch
from safetensors import safe_open


def load(path):
    with safe_open(path, "pt") as f:
        description = json.loads(f.metadata()["tpp"])
        tensors = {name: f.get_tensor(name).double() for name in f.keys()}
    return description, tensors


def read(path):
    raw = open(path, "rb").read()
    return json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)


def main(model_path, data_path):
    about, w = load(model_path)
    assert about["kind"] == "lognormmix", about["kind"]
    assert "mark_time_size" not in about, "the time depends on the mark: this loader takes them for independent of each other"
    mean, std, floor = about["mean_log_inter_time"], about["std_log_inter_time"], about["gap_floor"]
    rnn = getattr(torch.nn, about["rnn_type"])(w["rnn.weight_ih_l0"].shape[1], about["context_size"], batch_first=True).double()
    rnn.load_state_dict({name.removeprefix("rnn."): t for name, t in w.items() if name.startswith("rnn.")})
    data = read(data_path)
    index = {name: i for i, name in enumerate(about["marks"])}
    number = {i: index[name] for name, i in data["mapping"].items()}  # the file's numbering to the model's

    time_nll = mark_nll = events = 0
    for s in data["sequences"]:
        t = torch.tensor(s["arrival_times"], dtype=torch.float64)
        marks = torch.tensor([number[m] for m in s["marks"]])
        gaps = torch.cat([torch.zeros(1), t.diff()]).double().clamp(min=floor)  # the first event has none: it counts as the floor
        inputs = [((gaps + about["log_shift"]).log() - mean).div(std).unsqueeze(-1), w["mark_embedding.weight"][marks]]
        for c in about.get("covariates", []):
            assert c["name"] == "coldstart", c["name"]
            inputs.append(w["coldstart_embedding.weight"][(torch.tensor(s["init_times"]) > 0).long()])
        context = rnn(torch.cat(inputs, -1).unsqueeze(0))[0][0, :-1]  # before each event but the first
        loc, log_scale, logit = (context @ w["linear.weight"].T + w["linear.bias"]).chunk(3, -1)
        x = ((gaps[1:].log() - mean) / std).unsqueeze(-1)
        normal = -0.5 * ((x - loc) / log_scale.exp()) ** 2 - log_scale - 0.5 * math.log(2 * math.pi)
        log_density = (logit.log_softmax(-1) + normal).logsumexp(-1) - gaps[1:].log() - math.log(std)
        # With an end class there is one more logit behind the marks'; given that an event comes, the marks share the rest.
        marks_logit = (context @ w["mark_linear.weight"].T + w["mark_linear.bias"])[:, : about["num_marks"]]
        log_mark = marks_logit.log_softmax(-1).gather(-1, marks[1:].unsqueeze(-1))
        time_nll -= log_density.sum().item()
        mark_nll -= log_mark.sum().item()
        events += len(t) - 1
    print(json.dumps({"events": events, "nll_time": time_nll / events, "nll_mark": mark_nll / events}))


if __name__ == "__main__":
    with torch.no_grad():
        main(*sys.argv[1:])

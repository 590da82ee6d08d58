"""A compiled model with an exponential moving average of its weights, each a run of its own."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

import landscope as ls

pixels, digits = load_digits(return_X_y=True)
train = TensorDataset(torch.tensor(pixels / 16).float(), torch.tensor(digits))

model = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 10))
compiled = torch.compile(model)
averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

scope = ls.watch(compiled, loss_fn, train=train, optimizer=optimizer, name="weights")
average_scope = ls.watch(averaged, loss_fn, train=train, name="average", overhead=0.05)
for inputs, labels in DataLoader(train, batch_size=64, shuffle=True, drop_last=True):
    optimizer.zero_grad()
    loss = loss_fn(compiled(inputs), labels)
    loss.backward()
    optimizer.step()
    averaged.update_parameters(model)
    scope.step(loss)
    average_scope.step()

"""A notebook, as editors that know `# %%` show it: the page appears below the cell, and the next one trains."""

# %%
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import landscope as ls

pixels, digits = load_digits(return_X_y=True)
train = TensorDataset(torch.tensor(pixels / 16).float(), torch.tensor(digits))

# %% Run again, this ends the run that it began before.
model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scope = ls.watch(model, loss_fn, train=train, optimizer=optimizer)
scope  # noqa: B018 its page

# %%
for inputs, labels in DataLoader(train, batch_size=64, shuffle=True):
    optimizer.zero_grad()
    loss = loss_fn(model(inputs), labels)
    loss.backward()
    optimizer.step()
    scope.step(loss)

# %%
scope.close()
ls.open(scope.path).measurement("slice/random").figure()  # every number of the page, in Python

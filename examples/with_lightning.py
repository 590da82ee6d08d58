"""Lightning: a callback, and nothing else."""

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from landscope.live.lightning import LandscopeCallback


class Digits(lightning.LightningModule):
    """A small network for handwritten digits."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))

    def forward(self, inputs):
        """One score for each class."""
        return self.layers(inputs)

    def training_step(self, batch, _):
        """The loss of a batch."""
        inputs, labels = batch
        return cross_entropy(self(inputs), labels)

    def configure_optimizers(self):
        """Plain descent with momentum."""
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


pixels, digits = load_digits(return_X_y=True)
train = TensorDataset(torch.tensor(pixels / 16).float(), torch.tensor(digits))

trainer = lightning.Trainer(
    callbacks=[LandscopeCallback(cross_entropy)],
    max_epochs=2,
    accumulate_grad_batches=2,
    accelerator="auto",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Digits(), DataLoader(train, batch_size=32, shuffle=True))

"""One thread for every test of the library: what is measured is tiny, and threads would only wait for each other."""

import torch

torch.set_num_threads(1)

"""The kernels run on the GPU where there is one, else in Triton's interpreter; one thread."""

import torch

torch.set_num_threads(1)

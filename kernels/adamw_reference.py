"""The definition of `kernels.adamw` in plain PyTorch, and what a CPU runs: a file of its own that needs no
Triton.
"""

from __future__ import annotations

from torch import Tensor


def adamw_reference(
    master: Tensor, moment: Tensor, square: Tensor, gradient: Tensor, copy: Tensor | None, control: Tensor,
    rate: float, beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    """One step in place on flat float32 tensors; `copy`, if any, gets the new weights in its own dtype.

    control: float32 (4): the gradient's factor, 1 if the step is taken else 0, and the bias corrections
    1 - beta1^t and 1 - beta2^t. The gradient is zero afterwards in either case.
    """
    factor, taken, correction1, correction2 = control.unbind()
    if taken > 0:
        gradient.mul_(factor)
        moment.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = (square / correction2).sqrt_().add_(eps)
        master.mul_(1 - rate * decay).addcdiv_(moment / correction1, denominator, value=-rate)
        if copy is not None:
            copy.copy_(master)
    gradient.zero_()

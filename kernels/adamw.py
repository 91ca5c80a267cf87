"""AdamW (arXiv 1711.05101) over one flat buffer: moments, master weights and their bfloat16 copy in a single
pass.

Nothing waits for the host: the clipping factor, the two bias corrections and whether the step is taken at all
are read from a small tensor on the device. The gradient is zeroed on the way.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 2048


@triton.jit
def adamw_kernel(
    master_ptr, moment_ptr, square_ptr, gradient_ptr, copy_ptr, control_ptr, size,
    rate, beta1, beta2, eps, decay, HAS_COPY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block a program."""
    where = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = where < size
    factor = tl.load(control_ptr)
    taken = tl.load(control_ptr + 1)
    correction1 = tl.load(control_ptr + 2)
    correction2 = tl.load(control_ptr + 3)
    if taken > 0:
        gradient = tl.load(gradient_ptr + where, mask=inside, other=0.0) * factor
        moment = tl.load(moment_ptr + where, mask=inside, other=0.0)
        square = tl.load(square_ptr + where, mask=inside, other=0.0)
        master = tl.load(master_ptr + where, mask=inside, other=0.0)
        moment = moment + (gradient - moment) * (1.0 - beta1)
        square = square * beta2 + gradient * gradient * (1.0 - beta2)
        update = (moment / correction1) / (tl.sqrt(square / correction2) + eps)
        master = master * (1.0 - rate * decay) - rate * update
        tl.store(moment_ptr + where, moment, mask=inside)
        tl.store(square_ptr + where, square, mask=inside)
        tl.store(master_ptr + where, master, mask=inside)
        if HAS_COPY:
            tl.store(copy_ptr + where, master.to(copy_ptr.dtype.element_ty), mask=inside)
    tl.store(gradient_ptr + where, tl.zeros([BLOCK], tl.float32), mask=inside)


def adamw(
    master: Tensor, moment: Tensor, square: Tensor, gradient: Tensor, copy: Tensor | None, control: Tensor,
    rate: float, beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    """The fused operator; see `kernels.adamw_reference`."""
    adamw_kernel[(triton.cdiv(master.numel(), BLOCK),)](
        master, moment, square, gradient, master if copy is None else copy, control, master.numel(),
        float(rate), beta1, beta2, eps, decay, HAS_COPY=copy is not None, BLOCK=BLOCK, num_warps=4,
    )  # fmt: skip

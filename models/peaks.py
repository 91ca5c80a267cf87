"""Peak rates of GPUs, for model FLOPs utilization; an unknown device has none rather than a guess."""

from __future__ import annotations

import torch

# : Dense bfloat16 TFLOP/s by the vendor's data sheets (not the doubled figure for sparse matrices), by a part
# of the
#: device's name; the first that fits counts.
PEAKS = (
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.0),
    ("H100", 989.0),
    ("H800", 989.0),
    ("A100", 312.0),
    ("A800", 312.0),
    ("L40S", 362.0),
    ("RTX 4090", 165.2),
)


def peak_flops(device: torch.device) -> float | None:
    """FLOP/s of a GPU in dense bfloat16, None where unknown (a CPU too)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak * 1e12 for part, peak in PEAKS if part in name), None)

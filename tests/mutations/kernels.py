"""Wrong changes of kernels/: what the operators compute, forward and backward."""

from __future__ import annotations

from tests.mutations import Change

OPERATORS = ("tests/kernels/test_operators.py",)
NORM = (*OPERATORS, "-k", "rms_norm or epsilon")
ROPE = (*OPERATORS, "-k", "rotat or turned or epsilon")
LOSS = (*OPERATORS, "-k", "cross_entropy or log_z or logits")
ADAMW = (*OPERATORS, "-k", "adamw")
HIDDEN = (*OPERATORS, "-k", "swiglu or feed_forward")
SINKS = (*OPERATORS, "-k", "linear")

CHANGES = [
    Change("adamw-epsilon-inside-the-root", "kernels/adamw.py", "tl.sqrt(square / correction2) + eps",
           "tl.sqrt(square / correction2 + eps)", ADAMW),
    Change("adamw-without-epsilon", "kernels/adamw.py", "tl.sqrt(square / correction2) + eps",
           "tl.sqrt(square / correction2)", ADAMW),
    Change("adamw-decays-by-the-whole", "kernels/adamw.py", "1.0 - rate * decay", "1.0 - decay", ADAMW),
    Change("adamw-gradient-kept", "kernels/adamw.py",
           "tl.store(gradient_ptr + where, tl.zeros([BLOCK], tl.float32), mask=inside)", "pass", ADAMW),
    Change("adamw-squares-the-unclipped", "kernels/adamw.py", "mask=inside, other=0.0) * factor",
           "mask=inside, other=0.0)", ADAMW),
    Change("adamw-reference-epsilon", "kernels/adamw_reference.py", "sqrt_().add_(eps)", "add_(eps).sqrt_()",
           ADAMW),
    Change("norm-without-epsilon", "kernels/rms_norm.py", "tl.sqrt(tl.sum(wide * wide, 0) / D + eps)",
           "tl.sqrt(tl.sum(wide * wide, 0) / D)", NORM),
    Change("norm-of-the-block", "kernels/rms_norm.py", "tl.sqrt(tl.sum(wide * wide, 0) / D + eps)",
           "tl.sqrt(tl.sum(wide * wide, 0) / BLOCK_D + eps)", NORM),
    Change("norm-forgets-the-stream", "kernels/rms_norm.py", "if HAS_DSTREAM:\n", "if False:\n", NORM),
    Change("norm-weight-gradient-of-one", "kernels/rms_norm.py", "dweight_PD.sum(0)", "dweight_PD[0]", NORM),
    Change("rope-turns-values", "kernels/rope.py", "heads + key_heads\n", "G\n", ROPE),
    Change("rope-back-by-the-wrong-way", "kernels/rope.py", "cos_TK, -sin_TK, H, KV", "cos_TK, sin_TK, H, KV",
           ROPE),
    Change("rope-norm-without-epsilon", "kernels/rope.py", "rstd = (1.0 / tl.sqrt(square + eps))",
           "rstd = (1.0 / tl.sqrt(square))", ROPE),
    Change("rope-back-norm-without-epsilon", "kernels/rope.py", "/ (2 * HALF) + eps))[:, None]",
           "/ (2 * HALF)))[:, None]", ROPE),
    Change("rope-keys-normed-as-queries", "kernels/rope.py", "tl.where(is_query, q1, k1)", "q1", ROPE),
    Change("rope-norm-of-another-epsilon", "kernels/rope.py", "QK_NORM_EPS = 1e-6", "QK_NORM_EPS = 1e-5",
           (*ROPE, "tests/models/test_decoder.py")),
    Change("loss-z-slope-halved", "kernels/linear_cross_entropy.py", "1.0 + 2.0 * z * log_z",
           "1.0 + z * log_z", LOSS),
    Change("loss-of-the-last-chunk", "kernels/linear_cross_entropy.py", "loss += losses_C.sum()",
           "loss = losses_C.sum()", LOSS),
    Change("loss-ignored-gradient-kept", "kernels/linear_cross_entropy.py", "        if WITH_GRADIENT:\n            for",
           "        if False:\n            for", LOSS),
    Change("loss-reference-z-over-ignored", "kernels/linear_cross_entropy.py",
           "logits_NV.logsumexp(-1) * (targets_N != IGNORED)", "logits_NV.logsumexp(-1)", LOSS),
    Change("loss-target-unscaled", "kernels/linear_cross_entropy.py", "cols == target, scale, 0.0",
           "cols == target, 1.0, 0.0", LOSS),
    Change("swiglu-slope", "kernels/swiglu.py", "up * (s + silu * (1.0 - s))", "up * s", HIDDEN),
    Change("swiglu-gate-for-up", "kernels/swiglu.py", "tl.join(dh * by_gate, dh * by_up)",
           "tl.join(dh * by_up, dh * by_gate)", HIDDEN),
    Change("hidden-last-quarter", "kernels/feed_forward.py", "n, f + 3 * QUARTER)", "n, f + 2 * QUARTER)", HIDDEN),
    Change("sink-replaced", "kernels/linear.py", "sink_ED.addmm_(dy_NE.T.to(sink_ED.dtype), x_ND.to(sink_ED.dtype))",
           "sink_ED.copy_(dy_NE.T @ x_ND)", SINKS),
    Change("embedding-sink-replaced", "kernels/linear.py", "ctx.sink.add_(gradient_VD)",
           "ctx.sink.copy_(gradient_VD)", SINKS),
]  # fmt: skip

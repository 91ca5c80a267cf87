"""Operators of the decoder's fast path: one file each, with its plain PyTorch reference beside it.

Every `*_reference` is the definition, in plain PyTorch, that the tests hold the operator to, forward and
every gradient. The Triton kernels run on a GPU, and in Triton's interpreter (`TRITON_INTERPRET=1`) on a CPU.
`hopper` has the matrix products of Hopper GPUs, what `feed_forward` and the loss do to their results inside.
Shape suffixes: N tokens of a batch (B x T), B sequences, T positions, D width, F hidden width, H heads, K
head width, V vocabulary.
"""

"""Wrong changes of models/: optimizer, schedule, data order, decoder, trainer, checkpoints, export."""

from __future__ import annotations

from tests.mutations import Change

STEP = ("tests/models/test_optimizer.py", "tests/models/test_resume.py", "tests/models/test_rates.py")
TRAINER = ("tests/models/test_resume.py", "tests/models/test_rates.py", "tests/models/test_train.py", "-k",
           "not fused and not command_line and not terminal")  # fmt: skip
STOPPING = ("tests/models/test_stopping.py",)
RATES = ("tests/models/test_rates.py",)
WINDOWS = ("tests/models/test_windows.py",)
DECODER = ("tests/models/test_decoder.py", "tests/models/test_parity.py")
LADDER = ("tests/models/test_ladder.py", "tests/models/test_decoder.py")
SHARDS = ("tests/models/test_distributed.py",)

CHANGES = [
    # The optimizer.
    Change(
        "muon-decays-no-embedding", "models/optimizer.py",
        "            options.weight_decay,\n        )  # fmt: skip",
        '            0.0 if options.name == "muon" else options.weight_decay,\n        )  # fmt: skip', STEP,
    ),
    Change("muon-scale", "models/muon.py", "(0.2 * max(", "(0.25 * max(", STEP),
    Change("muon-scale-of-the-shorter-side", "models/muon.py", "(0.2 * max(", "(0.2 * min(", STEP),
    Change(
        "muon-without-nesterov", "models/muon.py",
        "orthogonalize(gradient + beta * kept)", "orthogonalize(kept)", STEP,
    ),
    Change("muon-without-decay", "models/muon.py", "1 - rate * decay * taken", "1 - 0 * taken", STEP),
    Change(
        "muon-momentum-of-a-skipped-step", "models/muon.py",
        "torch.where(taken > 0, beta * kept + gradient, kept)", "beta * kept + gradient", STEP,
    ),
    Change(
        "muon-without-clipping", "models/muon.py", "taken > 0, gradient * factor", "taken > 0, gradient", STEP
    ),
    Change(
        "guard-history-lost-on-resume", "models/optimizer.py",
        'self.history = state["history"].to(device)', 'state["history"].to(device)', STEP,
    ),
    Change(
        "guard-count-lost-on-resume", "models/optimizer.py",
        'state["taken"].to(device), state["seen"].to(device)',
        'state["taken"].to(device), torch.zeros_like(self.seen)', STEP,
    ),
    Change("guard-sees-one-of-two", "models/optimizer.py", "~jumps.any()", "~jumps[0]", STEP),
    Change(
        "guard-remembers-the-spike-itself", "models/optimizer.py",
        "torch.where(jumps, limit, now)", "now", STEP,
    ),
    Change(
        "adam-counts-skipped-steps", "models/optimizer.py",
        "self.guard.taken.double()", "self.guard.seen.double()", STEP,
    ),
    Change("clip-also-lengthens", "models/optimizer.py", "(length + 1e-6)).clamp(max=1.0)", "(length + 1e-6))",
           STEP),
    Change("copy-of-the-matrices-forgotten", "models/muon.py", "if flat.copy is not None:", "if False:", STEP),
    Change("second-moment-of-the-first-beta", "models/optimizer.py", "*options.betas, options.eps",
           "options.betas[0], options.betas[0], options.eps", STEP),
    Change("norm-in-one-sum", "models/norm.py", "if x.is_cuda:", "if True:", STEP),
    Change("norm-without-the-rest", "models/norm.py", "torch.cat((blocks, rest[None]))", "blocks", STEP),
    # Loss and accumulation.
    Change(
        "z-loss-over-ignored-targets", "models/engine.py", " * (targets_N != IGNORED)\n", "\n",
        STEP,
    ),
    Change("z-loss-left-out", "models/engine.py", "total = loss + self.options.z_loss", "total = loss + 0", STEP),
    Change("loss-over-all-positions", "models/run.py", "float(data.targets)",
           "float(self.plan.batch * self.config.window)", STEP),
    # The schedule.
    Change("rate-a-step-late", "models/run.py", "else (self.step + 1) / self.steps",
           "else self.step / self.steps", TRAINER),
    Change("warm-up-of-a-fifth", "models/run.py", "min(0.1, self.plan", "min(0.2, self.plan", TRAINER),
    Change("warm-up-of-another-batch", "models/settings.py",
           "math.ceil(base.warmup_steps * base.batch * base.window / tokens)", "base.warmup_steps", TRAINER),
    Change("budget-of-another-batch", "models/settings.py", "math.ceil(base.tokens / tokens)", "base.steps", TRAINER),
    # Data order.
    Change("every-epoch-in-one-order", "models/data.py", "[self.seed, epoch]", "[self.seed, 0]", WINDOWS),
    Change("every-source-in-one-order", "models/data.py", "([self.source] if self.source else [])", "[]",
           WINDOWS),
    Change("last-target-held-out", "models/data.py", "(s.cut - s.begin - 1) // window",
           "(s.cut - s.begin) // window", WINDOWS),
    Change("targets-cross-documents", "models/data.py",
           ".masked_fill(documents[:, 1:] != documents[:, :-1], IGNORED)", "", WINDOWS),
    Change("every-process-the-first-share", "models/prefetch.py", "rows[self.rank * share :", "rows[0 * share :",
           WINDOWS),
    Change("fingerprint-without-tokenizer", "models/data.py",
           'source.tokens.metadata["tokens_sha256"], source.tokens.metadata["tokenizer_sha256"], quota',
           'source.tokens.metadata["tokens_sha256"], quota', WINDOWS),
    # The decoder.
    Change("rope-of-another-base", "models/decoder.py", "ROPE_BASE = 10_000.0", "ROPE_BASE = 500_000.0", DECODER),
    Change("norm-of-another-epsilon", "models/decoder.py", "NORM_EPS = 1e-6", "NORM_EPS = 1e-5", DECODER),
    Change("weights-twice-as-large", "models/decoder.py", "INIT_SD = 0.02", "INIT_SD = 0.04", RATES),
    Change("weights-not-cut", "models/decoder.py", "a=-3 * INIT_SD, b=3 * INIT_SD", "a=-1.0, b=1.0", RATES),
    Change("rope-turns-back", "models/decoder.py", "torch.cat((-second, first)", "torch.cat((second, -first)",
           DECODER),
    Change("documents-see-the-future", "models/decoder.py", "(causal_TT & (", "((", DECODER),
    Change("packing-forgets-the-rows", "models/attention.py", "torch.ones(B, T, dtype=torch.bool",
           "torch.zeros(B, T, dtype=torch.bool", WINDOWS),
    # The ladder.
    Change("batch-by-the-counted-size", "models/ladder.py", "size = rung.nominal or counted", "size = counted",
           LADDER),
    Change("attention-counted-whole", "models/ladder.py", "+ 6 * self.layers", "+ 12 * self.layers", LADDER),
    # Checkpoints and resuming.
    Change("one-checkpoint-too-many", "models/state.py", "[: -self.keep]", "[: -self.keep - 1]", TRAINER),
    Change("second-moment-lost-on-resume", "models/engine.py",
           'x.copy_(state[f"{part}/{name}"])',
           'x.copy_(state[f"{part}/{name}"]) if part != "square" else None', TRAINER),
    Change("checkpoint-of-a-moving-model", "models/state.py", 'to("cpu", copy=True)', 'to("cpu")', TRAINER),
    Change("skipped-steps-forgotten-on-resume", "models/run.py", 'self.skipped = facts["skipped"]',
           "self.skipped = 0", TRAINER),
    Change("seconds-forgotten-on-resume", "models/run.py", 'facts["step"], facts["seconds"]', 'facts["step"], 0.0',
           TRAINER),
    Change("validations-forgotten-on-resume", "models/run.py",
           'for step, values in facts["validations"]]', "for step, values in []]", TRAINER),
    Change("metrics-of-lost-steps-kept", "models/resume.py", 'if row["step"] <= step:', "if True:", TRAINER),
    Change("other-data-accepted", "models/resume.py", 'facts["fingerprint"] != fingerprint', "False", TRAINER),
    Change("config-before-the-weights", "models/state.py",
           'if NAME.fullmatch(path.name) and (path / "config.json").is_file()', "if NAME.fullmatch(path.name)",
           TRAINER),
    # Stops and checkpoints by the clock.
    Change("stop-without-a-checkpoint", "models/run.py", "or self.save_now or self.stop_now or over:\n            self.save()",
           "or self.save_now or over:\n            self.save()", STOPPING),
    Change("no-checkpoint-by-the-clock", "models/run.py", "late = self.leads and", "late = False and", STOPPING),
    Change("clock-never-begins-anew", "models/run.py", "self.save_now, self.saved = False, time.monotonic()",
           "self.save_now = False", STOPPING),
    Change("stop-skips-the-settled-step", "models/run.py", "                if self.stop_now and not over:", "                if self.stop_now:",
           STOPPING),
    Change("validation-where-a-run-stops", "models/run.py", " and not self.stop_now):", "):", STOPPING),
    Change("ctrl-c-of-the-wrong-status", "models/train.py", "sys.exit(128 + stopped.number)", "sys.exit(1)", STOPPING),
    Change("second-ctrl-c-unheard", "models/stopping.py", "            at_once(number, frame)", "            return", STOPPING),
    Change("ignored-signals-taken", "models/stopping.py", "if signal.getsignal(number) is not signal.SIG_IGN", "", STOPPING),
    Change("handlers-left-behind", "models/stopping.py", "signal.signal(number, handler)", "pass", STOPPING),
    Change("two-trainers-in-one-folder", "models/resume.py", "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass",
           STOPPING),
    Change("wsd-comes-down-in-its-warm-up", "models/config.py", "self.warmup > 1 - DECAY", "self.warmup > 1", TRAINER),
    # Validation.
    Change("bits-over-document-ends", "models/validation.py", "(losses * (sizes > 0)).sum()", "losses.sum()",
           TRAINER),
    Change("nats-called-bits", "models/validation.py", "text_nats / math.log(2) /", "text_nats /", TRAINER),
    # Exports.
    Change("export-without-an-end", "models/export.py", '"eos_token_id": end, "pad_token_id": pad, "', '"eos_token_id": None, "pad_token_id": pad, "', DECODER),
    Change("export-of-another-window", "models/export.py", '"max_position_embeddings": window',
           '"max_position_embeddings": 2 * window', DECODER),
    Change("export-of-gate-for-up", "models/export.py", "gate_up[1::2]", "gate_up[0::2]", DECODER),
    Change("export-with-the-rows-that-fill-up", "models/export.py", "    entries = max(", "    entries = model.vocabulary or max(",
           DECODER),
    Change("export-pads-with-the-end", "models/export.py", "return found or (", "return (", DECODER),
    Change("export-pads-on-the-right", "models/export.py", '"padding_side": "left"', '"padding_side": "right"', DECODER),
    # Several processes.
    Change("shards-clip-by-their-own-norm", "models/sharded.py", "        dist.all_reduce(squares)\n", "", SHARDS),
    Change("each-process-stops-by-itself", "models/run.py", "self.group.sum(asked)[0]", "self.group.sum(asked.clone())[0]", SHARDS),
    Change("shards-scale-by-the-world", "models/sharded.py", "(total * dist.get_world_size())", "total", SHARDS),
    Change("gradients-not-summed", "models/engine.py", "dist.all_reduce(self.flat.gradient)", "pass", SHARDS),
]  # fmt: skip

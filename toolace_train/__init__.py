"""Training glue: from rows to a LoRA adapter with TRL, on one CPU, one GPU or many machines (paper Sec. 3.1)."""

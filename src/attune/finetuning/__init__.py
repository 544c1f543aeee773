"""Learning: LoRA and full fine-tuning of checkpoints, and the training from scratch of the two that ship with Attune."""

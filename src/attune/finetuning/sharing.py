"""One effective batch, however it is cut: into batches one after the other, or among processes, each with a share of every one.

All processes draw the same batches and compute a share of each, so that order and steps are those of one process. A loss that is
a mean counts by what it is the mean of: the mean of means would be another loss where texts differ in length.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning import processes
from attune.finetuning.families import IGNORED_LABEL, Batch, Example
from attune.params import TrainParams

_ITEMS = "items"


class SharingTrainer(Trainer):
    """A Trainer whose gradient is that of the effective batch as a whole.

    The Trainer's own scaling trusts a model that takes any keyword to use `num_items_in_batch`; Whisper's and the CTC models take
    it and do not (transformers 5.23), so that accumulated gradients would be added where they should be averaged.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, model: Any, args: TrainingArguments, data_collator: Callable[[Any], Batch], **more: Any) -> None:
        super().__init__(model, args, self._of_its_share(data_collator), **more)
        self.model_accepts_loss_kwargs = False
        if processes.rank():
            torch.manual_seed(self.args.seed + processes.rank())  # a dropout of its own; data and weights are the same for all

    def get_train_dataloader(self) -> DataLoader[Any]:
        """All batches, whole: what deals them to processes fills the last one up with examples from the start."""
        loader = super().get_train_dataloader()
        dealer: Any = loader.batch_sampler
        if processes.count() > 1:
            # as the Trainer does for its `batch_rebalance`
            dealer.num_processes, dealer.process_index, dealer.even_batches = 1, 0, False
        return loader

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], torch.Tensor]:
        """The batches of a step, and what there is in all of them, of all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        items = torch.stack([batch[_ITEMS] for batch in samples]).sum().to(device)
        return samples, self.accelerator.gather(items).sum() if processes.count() > 1 else items

    def compute_loss(self, model: Any, inputs: dict[str, Any], *rest: Any, num_items_in_batch: Any = None, **more: Any) -> Any:
        """Its part of the loss of the effective batch; DistributedDataParallel takes the mean over processes, so times them."""
        items = inputs.pop(_ITEMS)
        loss: Any = super().compute_loss(model, inputs, *rest, **more)
        part = (items > 0).to(loss.dtype) if _reduction(self.model) == "sum" else items / num_items_in_batch
        return loss * part * processes.count()

    def _of_its_share(self, collate: Callable[[Sequence[Example]], Batch]) -> Callable[[Sequence[Example]], Batch]:
        def collated(examples: Sequence[Example]) -> Batch:
            own = processes.share(examples)
            batch = collate(
                own or examples[:1]
            )  # where there is nothing to do something that counts nothing, in step with the rest
            return {**batch, _ITEMS: torch.tensor(_items(self.model, batch) if own else 0.0)}

        return collated


def processes_for(params: TrainParams, device: str) -> int:
    """How many processes are to learn together, `auto` being as many as there are GPUs and share the effective batch evenly.

    Raises TrainingError where the batch cannot be shared evenly, EnvironmentFault for more processes than GPUs.
    """
    effective, gpus = params.batch_size * params.accumulation, torch.cuda.device_count() if device == "cuda" else 1
    if params.processes == "auto":
        return max(n for n in range(1, gpus + 1) if effective % n == 0)
    if device == "cuda" and params.processes > gpus:
        raise EnvironmentFault(
            f"train.processes is {params.processes}, and this machine has {gpus} GPU(s); set it to auto or lower"
        )
    if effective % params.processes:
        raise TrainingError(
            f"train.batch_size {params.batch_size} x train.accumulation {params.accumulation} = {effective} utterances a step "
            f"cannot be shared evenly by {params.processes} processes; change one of them, or set train.processes to auto"
        )
    return params.processes


def shared(params: TrainParams, count: int, halvings: int) -> TrainParams:
    """The same effective batch with `batch_size` being that of `count` processes together, each with at most what it was for one;
    halved so often as memory did not suffice.
    """
    together = math.gcd(params.accumulation, count)
    size, accumulation = params.batch_size * together, params.accumulation // together
    done = params.model_copy(update={"batch_size": size, "accumulation": accumulation})
    for _ in range(halvings):
        done = halved(done, count)
    return done


def halved(params: TrainParams, count: int) -> TrainParams:
    """Half as many utterances at once for each of `count` processes, and twice the accumulation."""
    half = params.batch_size // count // 2 * count
    return params.model_copy(update={"batch_size": half, "accumulation": params.accumulation * params.batch_size // half})


def _items(model: Any, batch: Batch) -> float:
    """What the loss of a batch is a mean of: a CTC loss of utterances, another one of tokens."""
    labels = batch["labels"]
    return float(len(labels)) if _reduction(model) else float((labels != IGNORED_LABEL).sum())


def _reduction(model: Any) -> str | None:
    """`mean` or `sum` of CTC models."""
    reduction: str | None = getattr(model.config, "ctc_loss_reduction", None)
    return reduction

"""Examples to batches: the Sequence of Keras 3."""

from dataclasses import dataclass

from utils.clips.mixing import mix

import keras
import numpy as np

_MIXING = 1  # ends the seed of a batch's mixing; 0 would be as if it were not there


@dataclass(frozen=True)
class TrainingOrder:
    """How training examples become batches.

    Attributes:
        seed: of the order and the mixing.
        balance: "none", "weights" or "sampling" (`utils.params`).
        mixup, cutmix: alphas, as in `utils.clips.mixing.mix`; 0 for none.
    """

    seed: int
    balance: str = "none"
    mixup: float = 0.0
    cutmix: float = 0.0


def _members(targets):
    """Return bool (examples, groups): the classes with examples, then those without a label."""
    columns = np.hstack([1 - targets, targets]) if targets.shape[1] == 1 else targets
    members = np.hstack([columns > 0, ~columns.any(1, keepdims=True)])
    return members[:, members.any(0)]


def example_weights(targets):
    """Return one weight per example, inverse to the frequency of its class; their mean is 1.

    Args:
        targets: (examples, classes), one-hot or multi-hot, or (examples, 1) of 0 and 1. An example
            of several classes gets the mean of their weights; those of none are a class.
    """
    members = _members(targets)
    weights = members @ (1 / members.sum(0)) / members.sum(1)
    return weights / weights.mean()


def draw_order(targets, generator, balanced=False):
    """Return an order of the examples; balanced, classes take turns and small ones repeat.

    Args:
        targets: as in `example_weights`; an example is drawn for each of its classes.
        generator: a `numpy.random.Generator`.
        balanced: whether classes take turns.
    """
    if not balanced:
        return generator.permutation(len(targets))
    members = [np.flatnonzero(column) for column in _members(targets).T]
    turns = -(-len(targets) // len(members))
    columns = []
    for indices in members:
        rounds = -(-turns // len(indices))
        columns.append(np.concatenate([generator.permutation(indices) for _ in range(rounds)]))
    turned = np.stack([generator.permutation([c[i] for c in columns]) for i in range(turns)])
    return turned.ravel()[: len(targets)]


class Sequence(keras.utils.PyDataset):
    """Batches of (inputs, targets, sample weights).

    Order, augmentation and mixing follow from (seed, epoch, index) alone, never from the number
    of workers, which are threads. Training batches are all full: the last one is filled from the
    beginning of the epoch's order. Evaluation batches hold each example once, in order; a last
    one that does not divide by the replicas is filled up with examples of weight 0.

    Args:
        read: function (index, epoch) -> array of one example.
        targets: (examples, classes), one-hot or multi-hot, or (examples, 1) of 0 and 1.
        batch_size: examples per batch, over all replicas.
        order: a `TrainingOrder`; None for evaluation.
        replicas: devices that share a batch.
        workers: reading threads.
        join: function of a list of what `read` returns -> a batch of inputs.

    Raises:
        ValueError: no examples, or a training batch that does not divide by the replicas.
    """

    def __init__(self, read, targets, batch_size, order=None, replicas=1, workers=1, join=np.stack):
        # A queue no longer than the threads need: batches of clips are large.
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=workers + 1)
        if not len(targets):
            raise ValueError("There are no examples to make batches of.")
        if order is not None and batch_size % replicas:
            raise ValueError(
                f"batch_size {batch_size} cannot be divided among {replicas} devices; give "
                f"a multiple of {replicas}."
            )
        self.read, self.targets, self.batch_size, self.join = read, targets, batch_size, join
        self.training, self.replicas = order, replicas
        weighted = order is not None and order.balance == "weights"
        self.weights = example_weights(targets) if weighted else np.ones(len(targets))
        self.start(0)

    def start(self, epoch):
        """Go to the beginning of an epoch."""
        self.epoch = epoch
        self.order = np.arange(len(self.targets))
        if self.training is not None:
            generator = np.random.default_rng([self.training.seed, epoch])
            order = draw_order(self.targets, generator, self.training.balance == "sampling")
            self.order = np.resize(order, len(self) * self.batch_size)

    def __len__(self):
        return -(-len(self.targets) // self.batch_size)

    def __getitem__(self, step):
        indices = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        missing = -len(indices) % self.replicas
        inputs = [self.read(index, self.epoch) for index in indices]
        inputs = self.join(inputs + inputs[-1:] * missing)
        filled = np.append(indices, indices[-1:].repeat(missing))
        targets = self.targets[filled].astype("float32")
        weights = self.weights[filled].astype("float32")
        weights[len(indices) :] = 0
        if self.training is None:
            return inputs, targets, weights
        generator = np.random.default_rng([self.training.seed, self.epoch, step, _MIXING])
        alphas = (self.training.mixup, self.training.cutmix)
        return mix(inputs, targets, weights, *alphas, generator)

    def on_epoch_end(self):
        self.start(self.epoch + 1)

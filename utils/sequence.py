"""Examples to batches: the Sequence of Keras 3."""

import keras
import numpy as np


def class_weights(targets):
    """Return one weight per class, inverse to its frequency; their mean over examples is 1."""
    counts = targets.sum(0)
    return len(targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))


def draw_order(targets, generator, balanced=False):
    """Return an order of the examples; balanced, classes take turns and small ones repeat."""
    if not balanced:
        return generator.permutation(len(targets))
    labels = targets.argmax(1)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turns = -(-len(labels) // len(members))
    columns = []
    for indices in members:
        rounds = -(-turns // len(indices))
        columns.append(np.concatenate([generator.permutation(indices) for _ in range(rounds)]))
    turned = np.stack([generator.permutation([c[i] for c in columns]) for i in range(turns)])
    return turned.ravel()[: len(labels)]


class Sequence(keras.utils.PyDataset):
    """Batches of (inputs, one-hot targets, sample weights).

    Order and augmentation follow from (seed, epoch, index) alone, never from the number of
    workers, which are threads. Training batches are all full: the last one is filled from the
    beginning of the epoch's order. Evaluation batches hold each example once, in order; a last
    one that does not divide by the replicas is filled up with examples of weight 0.

    Args:
        read: function (index, epoch) -> array of one example.
        targets: (examples, classes), one-hot.
        batch_size: examples per batch, over all replicas.
        seed: of the order, for training; None for evaluation.
        balance: "none", "weights" or "sampling" (`utils.params`).
        replicas: devices that share a batch.
        workers: reading threads.

    Raises:
        ValueError: no examples, or a training batch that does not divide by the replicas.
    """

    def __init__(self, read, targets, batch_size, seed=None, balance="none", replicas=1, workers=1):
        # A queue no longer than the threads need: batches of clips are large.
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=workers + 1)
        if not len(targets):
            raise ValueError("No examples to make batches of.")
        if seed is not None and batch_size % replicas:
            raise ValueError(
                f"batch_size {batch_size} does not divide by the {replicas} devices; "
                f"give a multiple of {replicas}."
            )
        self.read, self.targets, self.batch_size = read, targets, batch_size
        self.seed, self.balance, self.replicas = seed, balance, replicas
        weighted = balance == "weights"
        self.class_weights = class_weights(targets) if weighted else np.ones(targets.shape[1])
        self.start(0)

    def start(self, epoch):
        """Go to the beginning of an epoch."""
        self.epoch = epoch
        self.order = np.arange(len(self.targets))
        if self.seed is not None:
            generator = np.random.default_rng([self.seed, epoch])
            order = draw_order(self.targets, generator, self.balance == "sampling")
            self.order = np.resize(order, len(self) * self.batch_size)

    def __len__(self):
        return -(-len(self.targets) // self.batch_size)

    def __getitem__(self, step):
        indices = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        missing = -len(indices) % self.replicas
        inputs = [self.read(index, self.epoch) for index in indices]
        inputs += inputs[-1:] * missing
        targets = self.targets[np.append(indices, indices[-1:].repeat(missing))]
        weights = targets @ self.class_weights
        weights[len(indices) :] = 0
        return np.stack(inputs), targets.astype("float32"), weights.astype("float32")

    def on_epoch_end(self):
        self.start(self.epoch + 1)

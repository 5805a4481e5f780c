"""What more cached views of videos bring: python -m scripts.benchmarks.feature_views --help.

The backbone is frozen, as by default: of each training video the center view is cached, and random
views beside it. Blocks of consecutive file numbers, which often are of one camera, are tested in
turn, each on center views. How many views a fold is given, and the penalty of logistic regression,
is chosen on inner folds: each training block held out of the others.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder


from models.later import later
from utils.command_line import Command, pick_fields
from utils.data.datasets import list_examples
from utils.data.examples import list_classes
from utils.data.splits import block_of
from utils.fitting.optimization import Optimization, make_optimizer
from utils.params import Params
from utils.system.commands import run_command
from utils.system.figures import Figures
from utils.system.words import print_line

import numpy as np

inspect = later("tasks.classification.sources", "inspect")
open_parts = later("tasks.classification.sources", "open_parts")
open_source = later("tasks.classification.sources", "open_source")
make_drawer = later("tasks.classification.training", "make_drawer")
make_network = later("tasks.classification.training", "make_network")
Runtime = later("tasks.features.runtimes", "Runtime")
pick_clips = later("tasks.features.runtimes", "pick_clips")
make_plan = later("tasks.plan", "make_plan")
Sequence = later("utils.clips.batches", "Sequence")
TrainingOrder = later("utils.clips.batches", "TrainingOrder")
compile_model = later("utils.fitting.devices", "compile_model")
encode_targets = later("utils.scores.labelings", "encode_targets")
LogisticRegression = later("sklearn.linear_model", "LogisticRegression")
make_pipeline = later("sklearn.pipeline", "make_pipeline")
StandardScaler = later("sklearn.preprocessing", "StandardScaler")


PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0)
_SETTINGS = Params()


@dataclass(frozen=True)
class Options:
    """What is trained on, and how often."""

    data_path: str
    """Class folders or a .csv, numbered videos of two classes or more."""
    views: int = 3
    """Most views of a training video, the center one included."""
    every: int = 1
    """Train on every Nth video only; all are tested."""
    block: int = 30
    """Consecutive file numbers that are held out together."""
    seeds: int = 5
    """Number of random seeds of the head, from 0 on."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training."""
    output: Path | None = None
    """JSON file to write the figures to."""

    def __post_init__(self):
        for name in ("views", "every", "block", "seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")


class Data(NamedTuple):
    """Cached features of all videos.

    Attributes:
        views: of each video a list of arrays (segments, channels), the center first; of those that
            are not trained on, the center alone.
        targets: (videos, classes) of zeros and ones.
        blocks: (videos,), the number of each one's block.
        trained: bool (videos,), whether a video may be trained on.
    """

    views: list
    targets: np.ndarray
    blocks: np.ndarray
    trained: np.ndarray

    def train_on(self, blocks):
        """Return the positions of the training videos of some blocks."""
        return np.flatnonzero(self.trained & np.isin(self.blocks, blocks))

    def test_on(self, block):
        """Return (center views, number of the class) of a block's videos."""
        chosen = np.flatnonzero(self.blocks == block)
        return np.stack([self.views[i][0] for i in chosen]), self.targets[chosen].argmax(1)


def open_data(options, **changes):
    """Compute the features that are not cached yet; return (the network's head, `Data`).

    Args:
        options: `Options`.
        changes: of the default parameters, such as runtime and precision.
    """
    params = replace(
        _SETTINGS,
        data_path=options.data_path,
        cache_path=options.cache_path,
        feature_views=options.views,
        **{"precision": "float32", **changes},
    )
    plan, examples = make_plan(params), list_examples(options.data_path)
    blocks = np.array([block_of(example.path, options.block) for example in examples])
    if len(set(blocks)) < 3:
        raise ValueError(
            f"{options.data_path} has {len(set(blocks))} blocks of {options.block} numbers; nested "
            "folds need 3. Give a smaller --block."
        )
    found, problems = inspect([example.path for example in examples], params)
    if problems:
        raise ValueError(f"{problems[0][1]}. Give videos that can all be read.")
    videos, classes = [found[example.path] for example in examples], list_classes(examples)
    network = make_network(plan, len(classes))
    runtime, paths = Runtime(params.runtime, params.precision), [each.path for each in examples]
    frozen, head = open_parts(plan, network, runtime, partial(pick_clips, paths, plan.clip_format))
    draw = make_drawer(plan, videos)
    trained = np.arange(len(videos)) % options.every == 0
    wanted = [(i, n) for i in range(len(videos)) for n in range(options.views if trained[i] else 1)]
    read = open_source(plan, network, frozen).prepare([draw(*each) for each in wanted])
    views = [[] for _ in videos]
    for place, (index, _) in enumerate(wanted):
        views[index].append(read(place))
    return head, Data(views, encode_targets("single", examples, classes), blocks, trained)


class Learner(NamedTuple):
    """What is trained: function (`Data`, positions, views, setting, seed) -> function that decides.

    Attributes:
        learn: the function; what it returns takes center views and gives the class of each.
        settings: that are chosen on inner folds beside the number of views.
        seeds: number of them that say something.
    """

    learn: Callable
    settings: tuple
    seeds: int


def make_head_learner(head, seeds):
    """Return the `Learner` of a network's head, trained as by default, the last epoch kept."""
    from utils.scores.labelings import LABELINGS

    import keras

    optimization = pick_fields(_SETTINGS, Optimization)

    def learn(data, chosen, views, setting, seed):
        def read(index, epoch):
            drawn = np.random.default_rng([seed, epoch, index]).integers(views)
            return data.views[chosen[index]][drawn]

        batches = Sequence(
            read, data.targets[chosen], _SETTINGS.batch_size, order=TrainingOrder(seed)
        )
        keras.utils.set_random_seed(seed)
        model = keras.models.clone_model(head)
        loss = LABELINGS["single"].make_loss()
        compile_model(model, make_optimizer(optimization, len(batches)), loss, [])
        model.fit(batches, epochs=_SETTINGS.epochs, shuffle=False, verbose=0)
        return lambda clips: model.predict_on_batch(clips).argmax(1)

    return Learner(learn, (None,), seeds)


def regress(data, chosen, views, penalty, seed):
    """Fit logistic regression to features averaged over the segments, each view a row."""
    rows = np.stack([view.mean(0) for i in chosen for view in data.views[i][:views]])
    labels = data.targets[chosen].argmax(1).repeat(views)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty / views, max_iter=3000))
    model.fit(rows, labels)
    return lambda clips: model.predict(clips.mean(1))


def list_learners(head, seeds):
    """Return {name: `Learner`} of what is trained on features: regression, and a head."""
    return {
        "logistic regression": Learner(regress, PENALTIES, 1),
        _SETTINGS.network: make_head_learner(head, seeds),
    }


def score(data, learner, train, test, views, setting, seeds):
    """Return the accuracy on a block of what learned on others, (seeds,)."""
    clips, labels = data.test_on(test)
    chosen = data.train_on(train)
    decided = [learner.learn(data, chosen, views, setting, seed)(clips) for seed in range(seeds)]
    return np.mean(np.array(decided) == labels, axis=1)


def measure(name, learner, data, most):
    """Yield rows of a learner: with each number of views, and with the number that is chosen.

    Args:
        name: of the learner.
        learner: `Learner`.
        data: `Data`.
        most: views.
    """
    blocks, counts = np.unique(data.blocks), range(1, most + 1)
    outer = np.zeros((most, len(blocks), learner.seeds))
    chosen = []
    for fold, block in enumerate(blocks):
        rest = blocks[blocks != block]
        inner = {
            (views, setting): np.mean(
                [score(data, learner, rest[rest != held], held, views, setting, 1) for held in rest]
            )
            for views in counts
            for setting in learner.settings
        }
        best = [max(learner.settings, key=lambda each, n=n: inner[n, each]) for n in counts]
        chosen.append(max(counts, key=lambda n: inner[n, best[n - 1]]))  # of the same, the fewest
        for n in counts:
            outer[n - 1, fold] = score(data, learner, rest, block, n, best[n - 1], learner.seeds)
            print_line(f"{name}, block {block + 1}, {n} views: {outer[n - 1, fold]}", flush=True)
    picked = np.stack([outer[n - 1, fold] for fold, n in enumerate(chosen)])
    kinds = {**{str(n): outer[n - 1] for n in counts}, f"chosen: {chosen}": picked}
    for views, scores in kinds.items():
        yield {
            "learner": name,
            "views": views,
            "mean": float(scores.mean()),
            "folds": scores.mean(1).tolist(),
            "spread_over_seeds": float(scores.mean(0).std(ddof=1)) if scores.shape[1] > 1 else 0.0,
        }


def compare(options):
    """Train with one view and with more; print and write the accuracy on held-out blocks.

    Args:
        options: `Options`.

    Raises:
        ValueError: data that cannot be read, or without file numbers.
    """
    head, data = open_data(options)
    figures = Figures(
        options.output, list(range(options.seeds)), ("scikit-learn",), every=options.every
    )
    for name, learner in list_learners(head, options.seeds).items():
        for row in measure(name, learner, data, options.views):
            figures.add(**row)
            folds = ", ".join(f"{each:.3f}" for each in row["folds"])
            print_line(f"{name}, views {row['views']}: {row['mean']:.3f} ({folds})", flush=True)


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: compare(COMMAND.parse()), "run the same command to continue")

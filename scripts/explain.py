"""See what a run's network looks at: python -m scripts.explain VIDEO --run weights/<run>."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from models.explanations import LAST, METHODS, Question, choose_method, map_windows
from utils.clips import choose_frames, list_views, read_clip
from utils.commands import run_command
from utils.files import atomic_path
from utils.gradients import differentiate
from utils.labelings import choose_labeling, to_probabilities
from utils.metrics import spread_outputs
from utils.overlays import (
    plot_sheet,
    plot_weights,
    resize_maps,
    save_overlay,
    save_weights,
    weigh_frames,
)
from utils.params import load_params
from utils.runs import best_network, load_data
from utils.video import probe

import keras
import numpy as np
import tyro


def load_views(video, params):
    """Read the views of a video that `evaluate.py` averages.

    Returns:
        (float32 clips (views, segments, frames, height, width, channels), what is seen in the
        middle one, uint8 RGB (segments x frames, height, width, 3), and for each of those the
        file's frame and its seconds).
    """
    info, form = probe(video), params.clip_format
    views = list_views(video, info, params.eval_clips, params.eval_crops)
    middle = views[len(views) // 2]
    clips = np.stack([read_clip(view, form) for view in views])
    seen = read_clip(middle, replace(form, stream="rgb"))
    seen = np.round((seen + 1) * 127.5).astype(np.uint8).reshape(-1, *seen.shape[2:])
    frames, places = choose_frames(middle, form)
    times = np.arange(info.num_frames) / info.fps if info.times is None else np.array(info.times)
    return clips, seen, frames[places], times[frames[places]]


def predict_view(network, clips, labeling, classes):
    """Return the probabilities (classes,) of clips, averaged."""
    logits = np.concatenate([network(clip[None], training=False) for clip in clips])
    return spread_outputs(to_probabilities(labeling, logits), classes).mean(0)


def save_explanation(folder, maps, frames, indices, seconds, title):
    """Write the overlay video, the contact sheet and the weight of every frame.

    Args:
        folder: where.
        maps: `Maps`.
        frames: uint8 (frames, height, width, 3), what the network saw.
        indices, seconds: of these frames in the file.
        title: of the pictures.
    """
    large = resize_maps(*maps, *frames.shape[:2])
    labels = [f"frame {index}, {time:.2f} s" for index, time in zip(indices, seconds, strict=True)]
    plot_sheet(folder / "contact_sheet.png", frames, {"relevance": large}, labels, title)
    lines = [f"{title}\n{label}" for label in labels]
    gap = np.median(np.diff(seconds)) if len(seconds) > 1 else 1
    save_overlay(folder / "overlay.mp4", frames, large, lines, 1 / np.clip(gap, 0.1, 1))


def save_frame_weights(folder, maps, segments, indices, seconds, title):
    """Write every frame's share as CSV and PNG; arguments as in `save_explanation`."""
    weights = weigh_frames(*maps, len(indices))
    numbers = np.repeat(np.arange(segments), len(indices) // segments)
    save_weights(folder / "temporal_weights.csv", numbers, indices, seconds, weights)
    shape = (segments, -1)
    plot_weights(
        folder / "temporal_weights.png", seconds.reshape(shape), weights.reshape(shape), title
    )


def save_attention(path, question, block, frames, seconds):
    """Draw rollout and the raw attention of a block over the frames; return the block's maps."""
    windows, number = map_windows(question, block)
    rows = {"rollout": METHODS["rollout"].explain(question)}
    rows |= {f"block {number}\n{name}": maps for name, maps in windows.items()}
    rows = {name: resize_maps(*maps, *frames.shape[:2]) for name, maps in rows.items()}
    labels = [f"{time:.2f} s" for time in seconds]
    plot_sheet(path, frames, rows, labels, "attention, of no class in particular")
    return {f"attention_{name.replace(' ', '_')}": maps.values for name, maps in windows.items()}


def ask(network, clips, params, labeling, asked):
    """Return the `Question` why the middle one of the views is of the class number `asked`."""
    return Question(
        network,
        clips[[len(clips) // 2]],
        column=0 if labeling == "binary" else asked,
        sign=-1 if labeling == "binary" and asked == 0 else 1,
        differentiate=differentiate,
        **{name: getattr(params, name) for name in ("activation", "pooling", "patch_size")},
    )


def explain(
    video: tyro.conf.Positional[Path],
    /,
    run: Path,
    class_name: Annotated[str, tyro.conf.arg(name="class")] = "",
    method: str = "",
    output: str = "",
    endpoint: str = LAST,
    block: int = 0,
):
    """Lay over a video what a run's network decides by, in space and time.

    Args:
        video: a video file.
        run: the run's folder, weights/<run>.
        class_name: the class to explain; empty: the most probable.
        method: grad_cam (networks with an I3D), integrated_gradients (without), or rollout
            (attention, of no class in particular); empty: the first of these that fits.
        output: folder of what is written; empty: explanations/<video's name>/ in the run's.
        endpoint: of I3D, where Grad-CAM looks; earlier ones see less, but finer.
        block: of a Transformer, whose attention is drawn too; 0: the last.
    """
    own, classes = load_data(run)
    best, params = best_network(run), load_params(run / "params.json")
    if class_name and class_name not in classes:
        raise ValueError(f"Unknown class {class_name!r}; the run knows {', '.join(classes)}.")
    if params.features:
        raise ValueError(
            f"{run} was trained on features, {params.features}: it sees no frames that could be "
            "explained; give a run that was trained on videos."
        )
    labeling = choose_labeling(params.activation, own, classes)
    clips, frames, indices, seconds = load_views(video, params)
    network = keras.saving.load_model(best, compile=False)
    keras.config.set_dtype_policy(params.precision)
    method = choose_method(method, network)
    probabilities = predict_view(network, clips, labeling, classes)
    predicted = int(np.argmax(probabilities))
    asked = classes.index(class_name) if class_name else predicted
    question = replace(ask(network, clips, params, labeling, asked), endpoint=endpoint)

    folder, arrays = Path(output or run / "explanations" / video.stem), {}
    if METHODS["rollout"].fits(network):
        arrays = save_attention(folder / "attention.png", question, block, frames, seconds)
    maps = METHODS[method].explain(question)
    said = f"{classes[asked]} {probabilities[asked]:.3f}"
    title = f"{said}, {method.replace('_', ' ')}"
    save_explanation(folder, maps, frames, indices, seconds, title)
    save_frame_weights(folder, maps, params.num_segments, indices, seconds, title)
    arrays |= {"maps": maps.values, "probabilities": probabilities, "classes": np.array(classes)}
    arrays |= dict(zip(("times", "rows", "columns"), maps.centres, strict=True))
    with atomic_path(folder / "maps.npz") as temporary:
        np.savez(temporary, frames=indices, seconds=seconds, **arrays)
    view = f", in the middle one of {len(clips)} views" if len(clips) > 1 else ""
    print(f"{video}: {classes[predicted]} {probabilities[predicted]:.3f}")
    print(f"Explained: {said}, by {method}{view}")
    print(f"Written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(explain, description=__doc__))

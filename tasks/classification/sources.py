"""Videos, or their features: where what a classifier sees comes from, by its plan."""

from models.cutting import cut_network
from tasks.features.runtimes import Prepared, prepare
from tasks.plan import make_plan
from utils.clips.inputs import ClipSource, FeatureSource
from utils.data.inspection import inspect_features, inspect_flow, inspect_videos
from utils.fitting.devices import number_format
from utils.video.streams import STREAMS


def inspect(paths, params):
    """Decode videos once, and their stored flow; where `params` name features, read those.

    Returns:
        ({path: `Video` or `VideoFeatures`}, [(path, problem)]), as
        `utils.data.inspection.inspect_videos` and `inspect_features`.
    """
    if params.features:
        return inspect_features(paths, params.features, params.workers)
    videos, problems = inspect_videos(paths, params.cache_path, params.workers)
    if STREAMS[params.stream].has_flow:
        form, how = make_plan(params).clip_format, (params.cache_path, params.workers)
        problems += inspect_flow(videos, form.flow_kind, form.flow_path, *how)
    return videos, problems


def open_parts(plan, network, runtime, pick=list, run=None):
    """Cut a network where training begins.

    Args:
        plan: its `Plan`.
        network: of `models.networks`.
        runtime, pick, run: of what runs once a clip, as `tasks.features.runtimes.prepare` takes
            them.

    Returns:
        (what runs once a clip, `Prepared`, or None where nothing does; the rest of the network).
    """
    with number_format(plan.params.precision):
        frozen, rest = cut_network(network, plan.cut)
    return frozen and prepare(frozen, runtime, pick, run), rest


def open_source(plan, network, frozen=None, replicas=1):
    """Return the `ClipSource`, or the `FeatureSource`, of a network.

    Args:
        plan: its `Plan`.
        network: from clips, or from rows of features, to logits.
        frozen: of the network, what runs once a clip, `Prepared`; None for nothing.
        replicas: devices that the network runs on.
    """
    params, frozen = plan.params, frozen or Prepared(None, "")
    if params.features:
        channels = network.input_shape[-1]
        return FeatureSource(params.num_segments, channels, params.workers, replicas)
    known = (frozen.model, params.cache_path, params.workers, replicas, frozen.fingerprint)
    return ClipSource(plan.clip_format, *known)

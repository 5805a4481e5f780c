"""From a video's features to the rows that a network sees."""

from utils.clips.augmentation import Transform
from utils.clips.reading import Clip
from utils.clips.sampling import SAMPLINGS
from utils.video.views import VIEWS, place_crop, spread_views

import numpy as np


def list_row_views(features, clips=1, crops=1):
    """Return the views that `utils.clips.reading.list_views` lists, of a video's features.

    Args:
        features: a `utils.features.video_features.VideoFeatures`.
        clips, crops: as there.

    Raises:
        ValueError: no features of one of the crops.
    """
    places = spread_views(clips, crops)
    if missing := [view for _, view in places if view not in features.views]:
        raise ValueError(
            f"{features.path}: there are no features of the view {missing[0]}, which "
            f"eval_crops {crops} needs. Give eval_crops 1, or extract that view."
        )
    return [
        Clip(features, place, Transform(place_crop(VIEWS[view].side))) for place, view in places
    ]


def _choose_view(views, transform):
    """Return the stored view nearest to a crop and a flip, the flip first."""
    flips = [view for view in views if VIEWS[view].flip == transform.flip] or list(views)
    return min(flips, key=lambda view: abs(VIEWS[view].side - transform.crop[1]))


def read_rows(clip, segments):
    """Read rows from equal parts of a video, of the view nearest to the clip's crop and flip.

    Args:
        clip: a `Clip` of a `utils.features.video_features.VideoFeatures`.
        segments: rows; where the video has fewer, they repeat.

    Returns:
        float32 (segments, channels).

    Raises:
        ValueError: the file cannot be read; it is named.
    """
    array = clip.video.load(_choose_view(clip.video.views, clip.transform))
    places = SAMPLINGS["segments"](len(array), segments, 1, clip.place)[:, 0]
    return np.asarray(array[places], np.float32)

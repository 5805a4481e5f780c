"""Class folders, perhaps below folders of splits: which examples they hold."""

from collections import Counter

from utils.data.examples import SPLITS, Example, find_split, labels_of
from utils.features.layouts import READERS
from utils.system.words import list_some, print_line
from utils.video.image_folders import scan_folder
from utils.video.listing import describe_others, list_tree


def refuse_few(data_path, classes, hint="Expected one folder per class with its videos inside."):
    """Raise the ValueError for data of fewer than two classes; the hint says what to do."""
    raise ValueError(
        f"data_path {data_path}: found {len(classes)} class(es) {sorted(classes)}, but "
        f"training needs two or more. {hint}"
    )


def _find_split_folders(path, nested):
    """Return {folder: split} of the folders of the data that are splits; {}: all are classes.

    Args:
        path: the data.
        nested: {folder in it: whether its videos lie deeper, as in classes}.

    Raises:
        ValueError: splits without classes.
    """
    known = {name: find_split(name) for name in nested if find_split(name) in SPLITS}
    rest = [name for name in nested if name not in known]
    several = len(set(known.values())) > 1
    if any(nested[name] for name in known) and (several or not any(map(nested.get, rest))):
        return dict(sorted(known.items(), key=lambda row: SPLITS.index(row[1])))
    if known and not rest:
        raise ValueError(
            f"data_path {path}: {list_some(known)}: these folders are named like splits, "
            "but contain no class folders, so the labels are unknown. Expected "
            "split/class/video, or a .csv (path,label,split)."
        )
    if known:
        print_line(
            f"{path}: {list_some(known)}: read as a class, because the folders beside it "
            "are not splits"
        )
    return {}


def _explain_folders(path, parts, splits, loose):
    """Print what is left out of class folders, and which folders are read as splits.

    Args:
        path: the data.
        parts: of the videos' paths below it, tuples.
        splits: {folder: split}.
        loose: names of the videos that are in no class folder.
    """
    held = Counter(each[0] for each in parts)
    if splits:
        shown = [f"{name} ({split}) {held[name]} videos" for name, split in splits.items()]
        print_line(f"{path}: splits are {list_some(shown)}")
    folders = [folder.name for folder in scan_folder(path)[1]]
    for what, names in (
        (
            "not used, because these are not splits",
            [name for name in held if splits and name not in splits],
        ),
        ("folders without videos", [name for name in folders if name not in held]),
        ("left out, because these are in no class folder", loose),
    ):
        if names:
            print_line(f"{path}: {what}: {list_some(names)}")


def list_folders(path, root=""):
    """List `path/class/video`, or `path/split/class/video`, by the names of `find_split`.

    What is left out is printed, and how folders that are named like splits are read. Where there
    is no video, files of features count. `root` is not used.

    Raises:
        ValueError: videos without class folders, or all in one.
    """
    tree = list_tree(path)
    features = [each for each in tree.others if each.suffix.lower() in READERS]
    parts = {each: each.relative_to(path).parts for each in tree.videos or features}
    nested = {}
    for each in parts.values():
        if len(each) > 1:
            nested[each[0]] = nested.get(each[0], False) or len(each) > 2
    splits = _find_split_folders(path, nested)
    place = 1 if splits else 0
    loose = ["/".join(each) or "." for each in parts.values() if len(each) < place + 2]
    examples = [
        Example(str(each), own[place], splits.get(own[0], ""))
        for each, own in parts.items()
        if len(own) > place + 1 and (not splits or own[0] in splits)
    ]
    examples.sort(key=lambda example: ("", *SPLITS).index(example.split))
    classes = labels_of(examples)
    only = next(iter(nested), "")
    if len(nested) == 1 and nested[only] and not splits:
        deeper = path / only
        refuse_few(path, classes, f"If they are in {deeper}, give that: --data-path {deeper}.")
    if loose and len(classes) < 2:
        refuse_few(
            path,
            classes,
            f"{len(loose)} videos, such as {loose[0]}, lie in no class folder: put each class's in "
            "a folder of its own (class/video), or give a .csv (path,label).",
        )
    _explain_folders(path, parts.values(), splits, loose)
    if tree.videos and (others := describe_others([o for o in tree.others if o.parent != path])):
        print_line(f"{path}: {others}")
    return examples

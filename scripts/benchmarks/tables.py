"""The tables of README and docs, a row each: which figures, and how they are written."""

from typing import NamedTuple


class Part(NamedTuple):
    """Rows of a table.

    Attributes:
        figures: a file in docs/figures, without its suffix, or a key of `LISTS`.
        cells: a template for each column, as `scripts.benchmarks.write_tables.write_cell` takes.
        where: {key: value} that the rows have.
        across: where rows stand side by side, as `write_tables.spread_across` takes it.
        keys: that tell such rows apart.
        total: a key; rows with the same value of it are added up.
    """

    figures: str
    cells: tuple[str, ...]
    where: dict = {}  # noqa: RUF012 (never changed)
    across: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    total: str = ""


class Table(NamedTuple):
    """A table.

    Attributes:
        columns: their headings.
        parts: what it is made of, one below the other.
        origin: what stands below it; "": the command, machine, load, date and commit of each file.
    """

    columns: tuple[str, ...]
    parts: tuple[Part, ...]
    origin: str = ""


def list_i3d():
    """Return a row for each published checkpoint of I3D."""
    from models.pretrained.i3d_weights import PRETRAINED  # slow: it imports Keras

    return [
        {"name": name, "stream": "" if row["stream"] == "rgb" else f"--stream {row['stream']} "}
        | {key: row[key] for key in ("weights", "accuracy", "protocol", "megabytes", "license")}
        | {"sources": ", ".join(row["sources"])}
        for name, row in PRETRAINED.items()
    ]


def list_timesformer():
    """Return a row for each published checkpoint of TimeSformer, and of the ViTs it starts from."""
    from models.pretrained.timesformer_weights import PUBLISHED  # slow: it imports Keras

    return [
        row._asdict()
        | {
            "name": name,
            "revisions": ", ".join(each[:7] if len(each) == 40 else each for each in row.revisions),
        }
        for name, row in PUBLISHED.items()
    ]


def list_recognizers():
    """Return a row for each published recognizer of signing."""
    from utils.signing.published import PUBLISHED

    def link(source):
        name = source.rpartition("/")[2]
        return f"[{name}]({source})" if "://" in source else source

    return [
        {"system": system, "what": row.what, "source": link(row.source)}
        | dict(zip(("dev", "test"), row.phoenix2014, strict=True))
        | dict(zip(("dev_t", "test_t"), row.phoenix2014t, strict=True))
        for system, row in PUBLISHED.items()
    ]


# Rows that are in the code: {name: function -> list of dicts}.
LISTS = {
    "weights_i3d": list_i3d,
    "weights_timesformer": list_timesformer,
    "published_recognizers": list_recognizers,
}


def _compare_kinds(figures, columns):
    """Return the `Table` of what scripts.benchmarks.runtimes measures: a row a kind.

    Args:
        figures: of one part of it.
        columns: {heading: template of the rows' units}.
    """
    cells = ("{kind}", *columns.values())
    part = Part(figures, cells, across=("{unit}", "value"), keys=("kind",))
    return Table(("runtime and precision", *columns), (part,))


def _long(*figures):
    """Return the `Table` of rows of `utils.system.figures.make_row` that have a name."""
    cells = ("{name}", "{value} {unit}")
    return Table(("what", "figure"), tuple(Part(each, cells) for each in figures))


def _explained(figures):
    """Return the `Table` of rows of `scripts.benchmarks.explanations`."""
    columns = ("map", "more than the rest", "beats the blob", "beats a random map")
    columns += ("the mirrored clip's map", "on what moves", "in one corner", "seconds")
    cells = ("{method}", "{gap:.1f}", "{beats_blob} of {videos}", "{beats_random} of {videos}")
    cells += ("{mirror:.2f}", "{moving:.2f}", "{corner:.2f}", "{seconds:.1f}")
    return Table(columns, (Part(figures, cells),))


def _continual(*figures):
    """Return the `Table` of rows of `scripts.benchmarks.continual`, a file each."""
    columns = ("network", "step, lag", "windows", "same label", "videos with the same label")
    columns += ("difference of a probability, median and largest", "multiply-adds, window")
    columns += ("continual", "window by continual", "the same of processor seconds")
    cells = ("{network}", "{step:.2f} s, {lag:.2f} s", "{windows}", "{same:.1%}")
    cells += ("{same_whole} of {videos}", "{difference:.3f}, {largest:.3f}")
    cells += ("{window_multiply_adds:.2f} G", "{continual_multiply_adds:.2f} G")
    cells += ("{multiply_adds_ratio:.2f}", "{processor_seconds_ratio:.1f}")
    return Table(columns, tuple(Part(each, cells) for each in figures))


_FOLDS = ("{mean:.3f}", "{folds:.2f}")
_SCHEMES = ("space", "joint", "divided", "local_global", "axial")
_SCORES = ("{sample_order:.3f}", "{sample_appearance:.3f}", "{parameters:.2f} M")
_READERS = ("this", "OpenCV", "decord2", "torchcodec")
_TIMES = tuple(f"{name} times OpenCV" for name in ("this", "decord2", "torchcodec"))
_FOUND = ("tried", "crashed", "hung", "unnamed", "lost")
_STEPS = tuple(
    f"{{{step}, {cell}"
    for step in ("forward", "training step")
    for cell in ("s a clip:.2f} s", "% of the matrix product:.0f} %")
)
_NETWORK = ("`{name}`", "{what}", "{parameters:.1f} M", "{multiply_adds:,.2f} G")
_SPEEDS = ("forward bfloat16", "forward float32", "train bfloat16", "train float32")


def _list_gpu():
    """Yield the parts of the table of a GPU's networks: a framework each."""
    how = {"i3d": "Keras on JAX", "transformers": "Keras on JAX"}
    for part in ("i3d", "torch", "transformers"):
        name = how.get(part, "PyTorch eager, {layout}")
        speeds = _SPEEDS if part in how else _SPEEDS[:3]
        cells = ("{network}", name, *(f"{{{speed}:.0f}}" for speed in speeds))
        cells += ("",) * (len(_SPEEDS) - len(speeds))
        across, keys = ("{step} {precision}", "per_second"), ("network", "layout")
        yield Part("gpu_h100", cells, {"part": part, "batch": 16}, across, keys)


TABLES = {
    # README
    "results_short": Table(
        ("what", "command", "result"),
        (
            Part(
                "sample",
                ("{data}", "{command}", "accuracy {accuracy:.3f}"),
                {"command": "`python training.py`"},
            ),
            Part(
                "sample",
                ("{data}", "{command}", "accuracy {accuracy:.3f}"),
                {"command": "`python training.py --preset vivit`"},
            ),
            Part(
                "schemes",
                (
                    "going up or down, told by the order of frames: divided attention",
                    "`python -m scripts.compare_settings --name schemes --vary attention --values "
                    "space divided --data sample_order --preset timesformer`",
                    "accuracy {divided:.3f} (attention within frames: {space:.3f})",
                ),
                across=("{attention}", "sample_order"),
            ),
            Part(
                "fight_heads",
                (
                    "240 fight clips, frozen I3D and LSTM, blocks of 30 held out",
                    "`python -m scripts.cross_validate --data-path FIGHTS --name NAME "
                    "--preset paper` {flags}",
                    "accuracy {mean:.3f} ± {spread_over_folds:.3f} over the blocks",
                ),
                {"head": "lstm"},
            ),
            Part(
                "fight_finetuned",
                (
                    "the same, trained from Mixed_5b on, first block",
                    "the same with `--finetune Mixed_5b --folds 1 --seeds 1 --epochs 10 "
                    "--rate-epochs 5 8`",
                    "accuracy {Mixed_5b on trained, first fold:.3f} "
                    "(frozen: {frozen, first fold:.3f})",
                ),
                across=("{what}", "accuracy"),
            ),
            Part(
                "isolated_signs",
                (
                    "20 rendered signs, {videos} clips of a person that training never shows",
                    "`python training.py isolated_signs`",
                    "accuracy {accuracy:.3f}",
                ),
            ),
            Part(
                "signing",
                (
                    "rendered sentences of 3 to 12 glosses, seeds 0, 1, 2",
                    "`python training.py phoenix --features F --data-path CORPUS --width 256`",
                    "WER {dev:.1f} % (dev), {test:.1f} % (test)",
                ),
                {"what": "stride 2, BiLSTM, seeds 0, 1, 2"},
            ),
            Part(
                "checks",
                ("{check}", "{command}", "{seen}"),
                {"command": "`python -m pytest -m weights`", "seen": "83.2416, 17.6404"},
            ),
        ),
        "Machine, load, date and commit of each row: [docs/results.md](docs/results.md).",
    ),
    "zoo_short": Table(
        (
            "`--network` or `--preset`",
            "what it is",
            "parameters",
            "multiply-adds",
            "top-1, top-5 on Kinetics-400, as published",
            "s a clip",
            "weights",
        ),
        (
            *(
                Part(
                    "zoo",
                    (*_NETWORK, "{accuracy:.1f} ({protocol})", "{seconds}", "{weights}"),
                    {"group": "networks", "name": name},
                )
                for name in (
                    "i3d",
                    "i3d_lstm",
                    "i3d_transformer",
                    "vivit",
                    "vivit_b16x2",
                    "timesformer",
                    "timesformer_base",
                    "timesformer_hr",
                    "timesformer_l",
                    "bilstm",
                )
            ),
        ),
    ),
    # docs/networks.md
    "zoo": Table(
        (
            "network",
            "what it is",
            "clip",
            "parameters",
            "multiply-adds",
            "the paper's count",
            "s a clip",
            "peak memory",
            "flags",
        ),
        (
            Part(
                "zoo",
                (
                    "`{name}`",
                    "{what}",
                    "{clip}",
                    "{parameters:.1f} M",
                    "{multiply_adds:,.2f} G",
                    "{published:,.2f} G",
                    "{seconds}",
                    "{gib} GiB",
                    "`{flags}`",
                ),
                {"group": "networks"},
            ),
        ),
    ),
    "zoo_weights": Table(
        ("network", "top-1, top-5 on Kinetics-400", "measured on", "weights", "note"),
        (
            Part(
                "zoo",
                ("`{name}`", "{accuracy:.1f}", "{protocol}", "{weights}", "{note}"),
                {"group": "networks"},
            ),
        ),
    ),
    "zoo_schemes": Table(
        (
            "`--attention`",
            "tokens that attend to one another",
            "parameters, 400 classes",
            "174 classes",
            "Kinetics-400, as published",
            "Something-Something V2, as published",
        ),
        (
            Part(
                "zoo",
                (
                    "`{name}`",
                    "{windows}",
                    "{parameters:.1f} M",
                    "{parameters_174:.1f} M",
                    "{kinetics:.1f}",
                    "{ssv2:.1f}",
                ),
                {"group": "schemes"},
            ),
        ),
    ),
    "networks_counts": _long("networks_counts"),
    # weights/README.md
    "weights_i3d": Table(
        (
            "checkpoint",
            "flags",
            "top-1, top-5",
            "measured on",
            "size",
            "license",
            "sources, in the order tried",
        ),
        (
            Part(
                "weights_i3d",
                (
                    "`{name}`",
                    "`{stream}--weights {weights}`",
                    "{accuracy:.1f}",
                    "{protocol}",
                    "{megabytes} MB",
                    "{license}",
                    "{sources}",
                ),
            ),
        ),
    ),
    "weights_timesformer": Table(
        (
            "checkpoint",
            "`--weights`",
            "frames, size",
            "classes",
            "top-1, top-5",
            "measured on",
            "size",
            "license",
            "Hugging Face repository: revisions in the order tried",
        ),
        (
            Part(
                "weights_timesformer",
                (
                    "`{name}`",
                    "`{weights}`",
                    "{frames}, {frame_size}",
                    "{classes}",
                    "{accuracy:.1f}",
                    "{protocol}",
                    "{megabytes} MB",
                    "{license}",
                    "{repository}: {revisions}",
                ),
            ),
        ),
    ),
    # docs/predicting.md
    "continual": _continual("continual", "continual_fights", "continual_fights_long"),
    # docs/reliability.md
    "faults": Table(
        ("what", *_FOUND),
        tuple(
            Part(name, (f"{{group}}{more}", *(f"{{{key}:,}}" for key in _FOUND)), total="group")
            for name, more in {
                "faults_killed": "",
                "faults_killed_again": ", another seed",
                "faults_full": "",
                "faults_damaged": "",
                "faults_damaged_again": ", mended, another seed",
            }.items()
        ),
    ),
    # docs/results.md
    "sample": Table(
        ("data", "command", "accuracy", "note", "time"),
        (Part("sample", ("{data}", "{command}", "{accuracy:.3f}", "{note}", "{time}")),),
    ),
    "schemes": Table(
        ("`--attention`", "`sample_order`", "`sample_appearance`", "parameters", "s an epoch"),
        (Part("schemes", ("{attention}", *_SCORES, "{seconds_per_epoch}")),),
    ),
    "positions": Table(
        ("`--positions`", "`sample_order`", "`sample_appearance`", "parameters", "s an epoch"),
        (
            Part("positions", ("{positions}", *_SCORES, "{seconds_per_epoch}")),
            Part("space_with_time", ("{what}", "{accuracy:.3f}", "", "", "")),
        ),
    ),
    "streams": Table(
        ("`--stream`", "`sample_order`", "parameters"),
        (Part("streams", ("{stream}", "{sample_order:.3f}", "{parameters:.2f} M")),),
    ),
    "fight_heads": Table(
        ("head", "flags", "accuracy", "of each block", "deviation over seeds", "over blocks"),
        (
            Part(
                "fight_heads",
                (
                    "{head}",
                    "{flags}",
                    *_FOLDS,
                    "{spread_over_seeds:.3f}",
                    "{spread_over_folds:.3f}",
                ),
            ),
        ),
    ),
    "fight_finetuned": Table(
        ("what is trained", "accuracy", "peak memory"),
        (Part("fight_finetuned", ("{what}", "{accuracy:.3f}", "{gib} GiB")),),
    ),
    "fight_context": Table(
        ("for comparison", "accuracy"), (Part("fight_context", ("{what}", "{accuracy}")),)
    ),
    "fight_streams": Table(
        ("stream", "flags", "accuracy", "of each block", "deviation over seeds"),
        (Part("fight_streams", ("{what}", "{flags}", *_FOLDS, "{spread_over_seeds:.3f}")),),
    ),
    "fight_streams_finetuned": Table(
        ("stream", "accuracy"), (Part("fight_streams_finetuned", ("{what}", "{accuracy:.3f}")),)
    ),
    "fight_uneven": Table(
        (
            "flags",
            "precision, recall, F1 of fight (the rare class)",
            "of no fight",
            "accuracy",
        ),
        (Part("fight_uneven", ("{flags}", "{rare:.3f}", "{other:.3f}", "{accuracy:.3f}")),),
    ),
    "fight_routes": Table(
        ("trained on", "tested on", "flags", "accuracy", "of each block"),
        (Part("fight_routes", ("{trained}", "{tested}", "`{flags}`", *_FOLDS)),),
    ),
    "route_cosines": _long("route_cosines"),
    "signing": Table(
        ("WER in %", "dev", "test", "its new person", "blanks"),
        (Part("signing", ("{what}", "{dev:.1f}", "{test:.1f}", "{signer:.1f}", "{blanks:.2f}")),),
    ),
    "signing_details": _long("signing_details"),
    "boston104": Table(
        ("WER in %", "40 test sentences", "the 14 new ones of them", "deviation over seeds"),
        (Part("boston104", ("{recipe}", "{wer:.1f}", "{new:.1f}", "{spread:.1f}")),),
    ),
    "boston104_signers": Table(
        (
            "WER in % of the signer left out",
            "training sentences",
            "templates",
            "with `--standard sentence`",
            "nearest",
            "with `--standard sentence`",
        ),
        (
            Part(
                "boston104_signers",
                (
                    "{set}",
                    "{sentences}",
                    "{templates:.1f}",
                    "{templates, standard sentence:.1f}",
                    "{nearest:.1f}",
                    "{nearest, templates, standard sentence:.1f}",
                ),
                across=("{recipe}", "wer"),
                keys=("set", "sentences"),
            ),
        ),
    ),
    "boston104_settings": Table(
        ("setting", "WER in % on dev, last epoch", "on test, best epoch of dev"),
        (
            Part(
                "boston104_settings",
                (
                    "{flags}",
                    "{list:.1f} ± {list_spread:.1f}",
                    "{list_test:.1f} ± {list_test_spread:.1f}",
                ),
            ),
        ),
    ),
    "signing_stage2": Table(
        ("from", "what is trained", "dev WER", "test WER"),
        (Part("signing_stage2", ("{start}", "{what}", "{dev:.1f}", "{test:.1f}")),),
    ),
    "published_signing": Table(
        ("published", "dev WER"), (Part("published_signing", ("{what}", "{wer}")),)
    ),
    "published_recognizers": Table(
        ("system", "what it is", "PHOENIX-2014 dev", "test", "-T dev", "test", "read in"),
        (
            Part(
                "published_recognizers",
                ("{system}", "{what}", "{dev}", "{test}", "{dev_t}", "{test_t}", "{source}"),
            ),
        ),
        "WER in percent, as published; read in November 2026. None of these was run here.",
    ),
    "hours": Table(
        ("step", "two CPU cores", "known from", "one H100", "known from", "on disk"),
        (
            Part(
                "hours",
                (
                    "{step}",
                    "{hours:.0f} hours",
                    "{hours_basis}",
                    "{hours_h100:.1f} hours",
                    "{hours_h100_basis}",
                    "{gb:.0f} GB",
                ),
            ),
        ),
    ),
    "isolated_signs": Table(
        ("accuracy", "clips", "time"),
        (Part("isolated_signs", ("{accuracy:.3f}", "{videos}", "{minutes} minutes")),),
    ),
    "explaining": Table(
        ("method", "network", "share on the square", "share of an even map"),
        (
            Part(
                "explaining",
                ("{method}", "{network}", "{lowest:.2f} to {highest:.2f}", "{even:.2f}"),
            ),
        ),
    ),
    "explanations": _explained("explanations"),
    "explanations_kinetics": _explained("explanations_kinetics"),
    "explanations_gradients": _explained("explanations_gradients"),
    "feature_views": Table(
        ("learner", "views", "accuracy", "of each block", "deviation over seeds"),
        (Part("feature_views", ("{learner}", "{views}", *_FOLDS, "{spread_over_seeds:.3f}")),),
    ),
    "predicting": _long("predicting"),
    "dataset_report": _long("dataset_report"),
    "export": Table(
        (
            "`--format`, `--precision`",
            "MB",
            "largest difference",
            "same top-1",
            "accuracy",
            "time, the run's is 1",
        ),
        (
            Part(
                "export",
                ("{format}", "{mb}", "{difference}", "{agree}", "{accuracy:.3f}", "{time}"),
            ),
        ),
    ),
    "checks": Table(
        ("check", "command", "seen"), (Part("checks", ("{check}", "{command}", "{seen}")),)
    ),
    # docs/speed.md
    "training_networks": Table(
        ("network, float32", "forward", "of the matrix product", "training step", "of it"),
        (
            Part(
                "training_networks",
                ("{name}", "{value:.0f} {unit}", "", "", ""),
                {"name": "float32 matrix product"},
            ),
            Part(
                "training_networks",
                ("{name}", *_STEPS),
                {"precision": "float32"},
                ("{step}, {unit}", "value"),
                ("name",),
            ),
        ),
    ),
    "training": _long("training"),
    "training_costs": _long("training_costs"),
    "cpu_settings": Table(
        ("what", "machine", "s before", "s after"),
        (Part("cpu_settings", ("{what}", "{machine}", "{before}", "{after}")),),
    ),
    "tried": Table(
        ("what was tried", "what came of it", "where"),
        (Part("tried", ("{what}", "{effect}", "{machine}")),),
    ),
    "runtimes_quality": _compare_kinds(
        "runtimes_quality",
        {
            "cosine to Keras in float32, mean": "{cosine of features, mean:.4f}",
            "least": "{cosine of features, least:.4f}",
            "logistic regression": "{accuracy, logistic regression:.3f}",
            "LSTM head": "{accuracy, i3d_lstm:.3f}",
        },
    ),
    "runtimes_signing": Table(
        ("features computed by", "WER on dev", "on test"),
        (
            Part(
                "runtimes_signing",
                (
                    "{features}",
                    *(
                        f"{{phoenix-2014-multisigner{split}:.1f}} ± "
                        f"{{phoenix-2014-multisigner{split}_spread:.1f}}"
                        for split in ("", "_test")
                    ),
                ),
            ),
        ),
    ),
    "runtimes_files": _compare_kinds(
        "runtimes_files",
        {
            "frames of video a second": "{frames of video/s:.1f}",
            "of the network alone": "{% of the network alone:.0f} %",
        },
    ),
    "runtimes_classes": _compare_kinds(
        "runtimes_classes",
        {
            "of 6 clips, same top-1 class": "{of 6 top-1 classes are the same:.0f}",
            "largest difference of its share": "{largest difference of its probability:.3f}",
        },
    ),
    "runtimes": _compare_kinds(
        "runtimes",
        {
            "s a clip of 64 frames": "{s a clip:.2f}",
            "times Keras in float32": "{times keras float32:.2f}",
        },
    ),
    "gpu": Table(("network", "framework", *_SPEEDS), tuple(_list_gpu())),
    "gpu_h200": Table(
        ("network", "batch", *_SPEEDS),
        tuple(
            Part(
                "gpu_h200",
                ("{network}", "{batch}", *(f"{{{speed}:.0f}}" for speed in _SPEEDS)),
                {"part": part, "framework": "keras on jax"},
                ("{step} {precision}", "per_second"),
                ("network", "batch"),
            )
            for part in ("i3d", "transformers")
        ),
    ),
    "gpu_shares": Table(
        ("network", "TFLOP/s", "share of the matrix product"),
        (
            Part(
                "gpu_h100",
                ("{name}", "{tflop_per_second:.0f}", ""),
                {"part": "ceilings", "precision": "bfloat16"},
            ),
            *(
                Part(
                    "gpu_h100",
                    ("{network}", "{tflop_per_second:.0f}", "{share:.0%}"),
                    {"network": name, "framework": "keras on jax", "step": "forward"}
                    | {"precision": "bfloat16"},
                )
                for name in ("i3d", "timesformer", "vivit")
            ),
        ),
    ),
    "gpu_video": Table(
        ("what", "a second"),
        (
            *(
                Part(
                    "gpu_h100",
                    ("{name}, {framework}, {batch} at once", "{per_second} pairs"),
                    {"part": "flow", "framework": framework},
                )
                for framework in ("keras on jax", "opencv, 16 threads", "opencv, 1 thread")
            ),
            *(
                Part(
                    "gpu_h100",
                    ("features: {name}", "{per_second:,.0f} frames of video"),
                    {"part": "extraction", "name": name},
                )
                for name in (
                    "dense, network alone from memory",
                    "dense, files",
                    "reading 320x240, 16 threads, windows",
                )
            ),
        ),
    ),
    "gpu_errors": Table(
        ("what", "relative error"),
        (
            *(
                Part("gpu_h100", ("{name}", "{relative_error:.1g}"), {"part": part, "name": name})
                for part, name in (
                    ("correctness", "I3D against its reference, products highest"),
                    ("i3d", "bfloat16 against float32"),
                )
            ),
        ),
    ),
    "attention_peers": Table(
        ("`--attention`", "here", "transformers"),
        (
            Part(
                "attention_peers",
                ("{attention}", "{ours} s", "{transformers} s"),
                {"step": "forward", "frames": 8},
                ("{who}", "seconds"),
                ("attention",),
            ),
        ),
    ),
    "attention_memory": Table(
        ("frames", "step", *_SCHEMES),
        (
            Part(
                "attention_memory",
                ("{frames}", "{step}", *(f"{{{name}:.2f}}" for name in _SCHEMES)),
                across=("{attention}", "gib"),
                keys=("step", "frames"),
            ),
        ),
    ),
    "attention_more": Table(
        ("seconds", *_SCHEMES),
        (Part("attention_more", ("{what}", *(f"{{{name}}}" for name in _SCHEMES))),),
    ),
    "attention_scores": _long("attention_scores"),
    "reading": Table(
        ("video", "this, frames/s", "OpenCV, frames/s", *_TIMES),
        (
            Part(
                "reading",
                (
                    "{name}",
                    "{this frames/s:.0f}",
                    "{OpenCV frames/s:.0f}",
                    *(f"{{{name}}}" for name in _TIMES),
                ),
                {"part": "sequential"},
                ("{reader} {unit}", "value"),
                ("name",),
            ),
        ),
    ),
    "reading_sparse": Table(
        ("frames of a long video", *_TIMES),
        (
            Part(
                "reading",
                ("{name}", *(f"{{{name}}}" for name in _TIMES)),
                {"part": "sparse"},
                ("{reader} {unit}", "value"),
                ("name",),
            ),
            Part("reading_keys", ("{name}", "{times}", "", "")),
        ),
    ),
    "reading_memory": Table(
        ("MiB", *_READERS),
        (
            Part(
                "reading",
                ("{name}", *(f"{{{name}:.0f}}" for name in _READERS)),
                {"part": "memory"},
                ("{reader}", "value"),
                ("name",),
            ),
        ),
    ),
    "extraction": _long("extraction", "extraction_fights"),
    "extraction_memory": Table(
        ("what", "peak memory"),
        (Part("extraction_memory", ("{name}", "{value:.2f} {unit}")),),
    ),
    "rows": _long("rows"),
    "rows_tried": Table(
        ("what", "s of the processor before", "after"),
        (Part("rows_tried", ("{what}", "{before}", "{after}")),),
    ),
    "rows_videos": Table(
        ("what", "videos", "figure"),
        (Part("rows_videos", ("{name}", "{videos:,}", "{value} {unit}")),),
    ),
    "starting": Table(
        ("command", "what", "s of the processor"),
        (Part("starting", ("`{command}`", "{stage}", "{value}")),),
    ),
    "ray": _long("ray"),
    "estimates": Table(
        ("of", "what", "estimate"), (Part("estimates", ("{what}", "{name}", "{value} {unit}")),)
    ),
    "flow": Table(
        ("`--flow`", "2 px", "10 px", "3 degrees", "zoom 1.05", "s a pair"),
        (
            Part(
                "flow",
                (
                    "{method}",
                    "{2 px:.2f}, {2 px, 8 bits:.2f}",
                    "{10 px:.2f}, {10 px, 8 bits:.2f}",
                    "{rotation 3 deg:.2f}, {rotation 3 deg, 8 bits:.2f}",
                    "{zoom 1.05:.2f}, {zoom 1.05, 8 bits:.2f}",
                    "{a pair of 340x256}",
                ),
                {},
                ("{what}", "value"),
                ("method",),
            ),
        ),
    ),
    "flow_stores": Table(
        ("`--method`", "KiB a frame", "240 clips on both cores"),
        (Part("flow_stores", ("{method}", "{kib}", "{time}")),),
    ),
    "flow_rounding": _long("flow_rounding"),
    "tvl1": _long("tvl1"),
    "recognition": Table(
        ("trained from", "input", "windows for gradients", "peak memory", "a step"),
        (
            Part(
                "recognition",
                ("{finetune}", "{inputs}", "{gradients}", "{gib:.2f} GiB", "{seconds} s"),
            ),
        ),
    ),
    "signing_maps": _long("signing_maps"),
}

"""Show what a video shows, on a page in the browser: python -m scripts.demo [--run weights/<run>].

Without a run, it knows the 400 classes of Kinetics. Videos stay on this machine. A video is deleted
when its answer is there, and the answer when its page is closed. Needs requirements-demo.txt.
"""

import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.page_guard import Guard, Limits, is_loopback
from utils.checks import check_precision
from utils.command_line import Command
from utils.pictures.answer_html import SCRIPT, STYLE, draw_note, draw_problem, draw_thumbnail
from utils.runs.folders import check_run
from utils.system.commands import ROOT, run_command
from utils.system.files import clear_leftovers, marked_alive
from utils.system.words import print_line

encode_frame = later("utils.pictures.saving", "encode_frame")
Demonstration = later("tasks.demonstration", "Demonstration")
Examples = later("tasks.demonstration", "Examples")

_WAITING = 8  # videos that wait for the network, at most
_ANSWERS = 20  # pages whose answers are kept, at most
_FILES = 250  # that lie here at once; an answer has up to 10
_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}, "audio": False}
_AGE = 1800  # seconds that uploads are kept that nobody asks about
_SHORTEST = 8  # characters of a password


@dataclass(frozen=True)
class Options:
    """Which network is shown, where, and what it accepts."""

    run: Path | None = None
    """Folder of the run, weights/<run>. Not given: the 400 classes of Kinetics."""
    runtime: Literal["", "keras", "openvino"] = ""
    """What computes the network. openvino in int8 is faster on CPUs; it needs
    requirements-openvino.txt. Empty: as the run was trained."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """Number format of the network. int8 needs --runtime openvino; it is calibrated on the run's
    videos if the network never was. auto: as the run was trained."""
    host: str = "127.0.0.1"
    """Address to listen on. The default is reached from this machine only. 0.0.0.0 is reached from
    everywhere and needs --auth."""
    names: tuple[str, ...] = ()
    """Other host names of the page, such as that of a proxy in front of it."""
    auth: Path | None = None
    """File with a line name:password that the page asks for. Only you may have access to it (chmod
    600)."""
    port: int = 7860
    """Port to listen on. 0: the first free port from 7860 on."""
    max_megabytes: float = 200.0
    """Largest upload, in MB."""
    max_seconds: float = 120.0
    """Longest video, in seconds."""
    total_megabytes: float = 2000.0
    """Disk space for the files of all visitors together, in MB."""
    sure: float | None = None
    """Confidence, from 0 to 1, below which the page says "not sure". Not given: the lowest one from
    which on 9 of 10 validation videos were answered right, if training kept the features of at
    least 20. 0: it is always sure."""
    examples: int = 4
    """Validation videos of the run that the page offers to try. Whoever reaches the page sees
    them. 0: none."""

    def __post_init__(self):
        check_precision(self.runtime or "openvino", self.precision)
        if self.max_megabytes <= 0 or self.max_seconds <= 0:
            raise ValueError(
                f"max_megabytes is {self.max_megabytes:g} and max_seconds is "
                f"{self.max_seconds:g}; both must be more than 0."
            )
        if self.sure is not None and not 0 <= self.sure <= 1:
            raise ValueError(f"sure is {self.sure:g}; it must be from 0 to 1.")
        if self.examples < 0:
            raise ValueError(f"examples is {self.examples}; it must be 0 or more.")
        if self.total_megabytes < self.max_megabytes:
            raise ValueError(
                f"total_megabytes is {self.total_megabytes:g}; it must be at least "
                f"max_megabytes, {self.max_megabytes:g}."
            )
        if self.auth is None and not is_loopback(self.host):
            raise ValueError(
                f"host is {self.host}, so others could use the page without a password. "
                "Write one line name:password into a file that only you can read, and "
                "give --auth FILE. Or leave out the host and reach the page through a "
                f"tunnel: ssh -L {self.port or 7860}:127.0.0.1:{self.port or 7860} "
                "THIS_MACHINE"
            )


def read_auth(path):
    """Return (name, password) of a file with a line name:password.

    Raises:
        ValueError: others can read the file, there is no such line, or the password is too short.
        OSError: it cannot be read.
    """
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{path}: others can read this password file. Run chmod 600 {path}")
    lines = path.read_text(encoding="utf-8").split()
    name, colon, password = lines[0].partition(":") if len(lines) == 1 else ("", "", "")
    if not (name and colon and len(password) >= _SHORTEST):
        raise ValueError(
            f"{path}: the file must contain one line name:password without blanks; the "
            f"password needs at least {_SHORTEST} characters."
        )
    return name, password


def import_gradio():
    """Return the module Gradio, which tells nobody that it is used.

    Raises:
        ValueError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio  # optional
    except ImportError as error:
        raise ValueError(
            f"The page needs Gradio ({error}): pip install -r {ROOT / 'requirements-demo.txt'}"
        ) from error
    return gradio


_PREFIX = "action-recognition-page-"  # of folders of temporary files, and of nothing else


@contextmanager
def keep_files():
    """Keep all temporary files of this process in one folder, yield it; delete it at the end.

    Those of processes that were killed are deleted too.
    """
    before = tempfile.tempdir
    clear_leftovers(tempfile.gettempdir(), f"{_PREFIX}*")
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder, marked_alive(folder):
        tempfile.tempdir = folder
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "gradio"))
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
            del os.environ["GRADIO_TEMP_DIR"]


def lay_out(gr, about, chosen=()):
    """Put the parts of the page where they belong; return {name: component}.

    Args:
        gr: the module Gradio.
        about: what the network is, and what the page takes.
        chosen: [(path, label, picture)] of the examples; the part of each is its button.
    """
    gr.Markdown("# What does this video show?")
    gr.HTML(draw_note(about))
    parts = {}
    with gr.Row():
        with gr.Column():
            camera = gr.WebcamOptions(constraints=_CAMERA)
            sources = {"sources": ["upload", "webcam"], "webcam_options": camera}
            parts["video"] = gr.Video(label="Your video", elem_id="video", height=300, **sources)
            if chosen:
                gr.HTML(draw_note("Or try a validation video, which the network did not learn:"))
                with gr.Row(elem_id="examples"):
                    for place, (path, label, picture) in enumerate(chosen):
                        with gr.Column():
                            text = f"A frame of {Path(path).name}"
                            gr.HTML(draw_thumbnail(encode_frame(picture), text), padding=False)
                            parts[place] = gr.Button(label, size="sm")
        with gr.Column():
            parts["answer"] = gr.HTML()
            parts["status"] = gr.HTML(min_height=90)
    playing = {"height": 420, "autoplay": True, "loop": True, "buttons": ["download"]}
    with gr.Column(visible=False) as parts["when"]:
        gr.Markdown("## When")
        with gr.Row():
            with gr.Column():  # columns stand below one another on a phone
                parts["captions"] = gr.Video(label="The video with captions", **playing)
            with gr.Column():
                parts["timeline"] = gr.HTML()
    with gr.Column(visible=False) as parts["explanation"]:
        gr.Markdown("## Why")
        parts["why"] = gr.HTML()
        with gr.Column(visible=False) as parts["heat"]:
            label = "The video, and beside it what mattered (red: most)"
            parts["overlay"] = gr.Video(label=label, **playing)
        parts["sheet"] = gr.HTML(elem_id="sheet")
    with gr.Column(visible=False) as parts["alike"]:
        gr.Markdown("## Similar training videos\nCosine similarity of the embeddings, and label.")
        parts["similar"] = gr.Gallery(
            columns=[2, 4, 6],
            height="auto",
            label="Similar training videos",
            show_label=False,
            object_fit="contain",
            buttons=["fullscreen"],
        )
    return parts


# Part that is found: the column that is shown with it.
_COLUMNS = {"timeline": "when", "why": "explanation", "overlay": "heat", "similar": "alike"}
_SHOWN = ("answer", "status", "captions", "timeline", "why", "overlay", "sheet", "similar")
_SHOWN += tuple(_COLUMNS.values())


class Answers:
    """The folders of what is shown on the pages that are open, one a page.

    Args:
        folder: of Gradio's files; what lies in it is given out as it is, not copied.
    """

    def __init__(self, folder):
        self.folder, self.own = folder, {}

    def begin(self, session):
        """Return a new folder, that nobody can guess, for a page's answer; its last one goes.

        So does the oldest of all where there are too many.
        """
        self.end(session)
        while len(self.own) >= _ANSWERS:
            self.end(next(iter(self.own)))
        self.own[session] = self.folder / f"answer-{secrets.token_urlsafe(16)}"
        self.own[session].mkdir(parents=True)
        return self.own[session]

    def end(self, session):
        """Delete a page's answer."""
        shutil.rmtree(self.own.pop(session, ""), ignore_errors=True)


def make_responder(gr, parts, answers, show, end):
    """Return the function that Gradio calls with what is asked about; None: it was taken away.

    Args:
        gr: the module Gradio.
        parts: of `lay_out`.
        answers: `Answers`.
        show: function (what is asked about, folder, on_progress=function) that yields {name: what
            is shown}.
        end: function of what was asked about, called when all is shown, however that ends.
    """
    clear = {parts[name]: "" for name in ("answer", "status")}
    clear |= {parts[name]: gr.update(visible=False) for name in _COLUMNS.values()}

    def respond(asked, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        yield clear
        if asked is None:
            return

        def advance(share, what):
            progress(share, desc=what)

        try:
            folder = answers.begin(request.session_hash)
            for found in show(asked, folder, on_progress=advance):
                shown = {parts[name]: value for name, value in found.items()}
                columns = [_COLUMNS[name] for name in found if name in _COLUMNS]
                yield shown | {parts[name]: gr.update(visible=True) for name in columns}
        except (ValueError, OSError) as error:
            told = str(error).replace(str(asked), Path(str(asked)).name)
            yield {parts["status"]: draw_problem(told)}
        finally:
            end(asked)

    return respond


def forget_videos(gr, page, answers):
    """Delete a page's answer when it is closed, and all files with the last one that is open.

    Args:
        gr: the module Gradio.
        page: `gradio.Blocks`.
        answers: `Answers`.
    """
    pages = set()

    def enter(request: gr.Request):
        pages.add(request.session_hash)

    def leave(request: gr.Request):
        pages.discard(request.session_hash)
        answers.end(request.session_hash)
        if not pages:
            shutil.rmtree(answers.folder, ignore_errors=True)

    page.load(enter, queue=False, api_visibility="private")
    page.unload(leave)


def make_limits(options, folder):
    """Return the `Limits` of a page whose files lie in a folder, that of `keep_files`."""
    sizes = round(options.max_megabytes * 1e6), round(options.total_megabytes * 1e6)
    return Limits(folder / "gradio", options.host, options.names, *sizes, _FILES)


def build_page(gr, demonstration, options, limits):
    """Build the page.

    Args:
        gr: the module Gradio.
        demonstration: a `tasks.demonstration.Demonstration`.
        options: `Options`.
        limits: of `make_limits`.

    Returns:
        `gradio.Blocks`, not yet launched.
    """
    about = (
        f"{demonstration.about} Videos of up to {options.max_megabytes:g} MB and "
        f"{options.max_seconds:g} s are accepted. Your video is deleted as soon as it is "
        "answered, and the results when you close this page."
    )
    settings = {"analytics_enabled": False, "delete_cache": (60, _AGE)}
    longest, chosen = options.max_seconds, []
    if options.examples:
        chosen = demonstration.choose_examples(options.examples, longest)
    examples = Examples(demonstration, chosen, limits.folder.with_name("examples"))

    def respond_by(source, end=lambda asked: None):
        return make_responder(gr, parts, answers, partial(source.show, limit=longest), end)

    with gr.Blocks(title="What does this video show?", **settings) as page:
        parts = lay_out(gr, about, chosen)
        answers, video = Answers(limits.folder), parts["video"]
        forget_videos(gr, page, answers)
        shown = [parts[name] for name in _SHOWN]
        asking = {"show_progress_on": parts["status"], "api_visibility": "private"}
        asking["concurrency_id"] = "network"  # one video at a time
        gr.on(
            [video.upload, video.stop_recording, video.clear],
            # An answered video is deleted unless others wait for it.
            respond_by(demonstration, limits.release),
            video,
            shown,
            trigger_mode="always_last",
            **asking,
        )
        for place in range(len(chosen)):
            own = gr.State(place)
            parts[place].click(lambda: None, None, video, queue=False, api_visibility="private")
            parts[place].click(respond_by(examples), own, shown, **asking)
    return page.queue(max_size=_WAITING, default_concurrency_limit=1, api_open=False)


def launch(gr, page, options, limits):
    """Serve a page from a thread; return its address.

    Args:
        gr: the module Gradio.
        page: of `build_page`.
        options: `Options`.
        limits: of `make_limits`.

    Raises:
        ValueError: as `read_auth`.
        OSError: the port is taken.
    """
    from starlette.middleware import Middleware  # Gradio's

    theme = gr.themes.Default(primary_hue="blue", neutral_hue="slate")
    settings = {"share": False, "run_history": False, "footer_links": [], "ssr_mode": False}
    settings |= {"mcp_server": False, "enable_monitoring": False, "pwa": False}
    return page.launch(
        server_name=options.host,
        server_port=options.port or None,
        auth=read_auth(options.auth) if options.auth else None,
        max_file_size=limits.file_bytes,
        app_kwargs={"middleware": [Middleware(Guard, limits)]},
        prevent_thread_lock=True,
        quiet=True,
        theme=theme,
        css=STYLE,
        js=SCRIPT,
        **settings,
    )[1]


def serve(options):
    """Serve the page until Ctrl-C.

    Args:
        options: `Options`.

    Raises:
        ValueError: Gradio is not installed, or there is no such run.
        OSError: the port is taken.
    """
    gr = import_gradio()
    if options.run is not None:
        check_run(options.run)  # before Keras is imported
    demonstration = Demonstration(options.run, options.sure, options.runtime, options.precision)
    with keep_files() as folder:
        limits = make_limits(options, folder)
        page = build_page(gr, demonstration, options, limits)
        address = launch(gr, page, options, limits)
        try:
            print_line(f"The page is at {address}. Press Ctrl-C to end it.", flush=True)
            threading.Event().wait()
        finally:
            page.close()


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: serve(COMMAND.parse()), "the page is closed")

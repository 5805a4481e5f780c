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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.page_guard import Guard, Limits, is_loopback
from utils.command_line import Command
from utils.pictures.answer_html import STYLE, draw_note, draw_problem
from utils.runs.folders import check_run
from utils.system.commands import ROOT, run_command
from utils.system.files import clear_leftovers, marked_alive
from utils.system.words import print_line

Demonstration = later("tasks.demonstration", "Demonstration")

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

    def __post_init__(self):
        if self.max_megabytes <= 0 or self.max_seconds <= 0:
            raise ValueError(
                f"max_megabytes is {self.max_megabytes:g} and max_seconds is "
                f"{self.max_seconds:g}; both must be more than 0."
            )
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


def lay_out(gr, about):
    """Put the parts of the page where they belong; return {name: component}."""
    gr.Markdown("# What does this video show?")
    gr.HTML(draw_note(about))
    parts = {}
    with gr.Row():
        with gr.Column():
            camera = gr.WebcamOptions(constraints=_CAMERA)
            sources = {"sources": ["upload", "webcam"], "webcam_options": camera}
            parts["video"] = gr.Video(label="Your video", elem_id="video", height=360, **sources)
        with gr.Column():
            parts["answer"] = gr.HTML()
            parts["status"] = gr.HTML(min_height=90)
    playing = {"height": 420, "autoplay": True, "loop": True, "buttons": ["download"]}
    with gr.Column(visible=False) as parts["when"]:
        gr.Markdown("## When")
        with gr.Row():
            with gr.Column():  # columns stand below one another on a phone
                parts["captions"] = gr.Video(label="Captions", **playing)
            with gr.Column():
                parts["timeline"] = gr.HTML()
    with gr.Column(visible=False) as parts["explanation"]:
        gr.Markdown("## Why")
        parts["why"] = gr.HTML()
        with gr.Column(visible=False) as parts["heat"]:
            parts["overlay"] = gr.Video(label="Overlay", **playing)
        parts["sheet"] = gr.Image(
            show_label=False, elem_id="sheet", buttons=["fullscreen", "download"]
        )
    with gr.Column(visible=False) as parts["alike"]:
        gr.Markdown("## Similar training videos\nCosine similarity of the embeddings, and label.")
        parts["similar"] = gr.Gallery(
            columns=6, height=180, show_label=False, object_fit="contain", buttons=["fullscreen"]
        )
    return parts


# Part that is found: the column that is shown with it.
_COLUMNS = {"timeline": "when", "why": "explanation", "overlay": "heat", "similar": "alike"}


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


def make_responder(gr, demonstration, parts, limit, answers, limits):
    """Return the function that Gradio calls with a video, or None where it was taken away.

    The video is deleted when it is answered, and nobody else waits for it.

    Args:
        gr: the module Gradio.
        demonstration: a `tasks.demonstration.Demonstration`.
        parts: of `lay_out`.
        limit: seconds that a video may last.
        answers: `Answers`.
        limits: `Limits`, whose guard counted that the page asks.
    """
    clear = {parts[name]: "" for name in ("answer", "status")}
    clear |= {parts[name]: gr.update(visible=False) for name in _COLUMNS.values()}

    def respond(video, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        yield clear
        if video is None:
            return

        def advance(share, what):
            progress(share, desc=what)

        try:
            made = answers.begin(request.session_hash)
            for found in demonstration.show(video, made, limit, advance):
                shown = {parts[name]: value for name, value in found.items()}
                columns = [_COLUMNS[name] for name in found if name in _COLUMNS]
                yield shown | {parts[name]: gr.update(visible=True) for name in columns}
        except (ValueError, OSError) as error:
            yield {parts["status"]: draw_problem(str(error).replace(video, Path(video).name))}
        finally:
            limits.release(video)

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
    with gr.Blocks(title="What does this video show?", **settings) as page:
        parts = lay_out(gr, about)
        answers = Answers(limits.folder)
        forget_videos(gr, page, answers)
        video = parts["video"]
        gr.on(
            [video.upload, video.stop_recording, video.clear],
            make_responder(gr, demonstration, parts, options.max_seconds, answers, limits),
            video,
            [part for name, part in parts.items() if name != "video"],
            show_progress_on=parts["status"],
            trigger_mode="always_last",
            api_visibility="private",
        )
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
    demonstration = Demonstration(options.run)
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

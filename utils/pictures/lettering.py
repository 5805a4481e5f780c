"""Names in pictures, whatever letters they have."""

from functools import cache

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

# Fonts with what DejaVu Sans lacks (Chinese, Japanese, Korean, Indic letters, emoji), where they
# are installed: Linux's, then Windows' and macOS'.
_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC",
    "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC", "Source Han Sans JP",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAexGothic", "IPAGothic",
    "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji", "Symbola", "Microsoft YaHei", "SimHei",
    "Yu Gothic", "MS Gothic", "Malgun Gothic", "Nirmala UI", "Segoe UI Emoji", "Segoe UI Symbol",
    "PingFang SC", "Heiti TC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS",
)  # fmt: skip
_KNOWN = {font.name for font in font_manager.fontManager.ttflist}
# Family: its file, of the regular weight, whichever the computer lists first.
FONTS = {
    name: str(font_manager.findfont(name)) for name in ("DejaVu Sans", *_FAMILIES) if name in _KNOWN
}
mpl.rcParams["font.sans-serif"] = list(FONTS)
mpl.rcParams["text.parse_math"] = False  # a name may have dollars


@cache
def _letters(path):
    return frozenset(FT2Font(path).get_charmap())


@cache
def _spell_letter(letter):
    known = any(ord(letter) in _letters(path) for path in FONTS.values())
    return letter if known or letter == "\n" else ascii(letter)[1:-1]


def spell(name):
    r"""Return a name as pictures can show it: letters that no font has as \u8dd1.

    Legends leave out what begins with "_"; a space without width goes before it.
    """
    shown = "".join(map(_spell_letter, name))
    return f"\u200b{shown}" if shown.startswith("_") else shown


def find_font(text):
    """Return the file of the first font that has all letters of a text; else DejaVu Sans'."""
    whole = (path for path in FONTS.values() if set(map(ord, text)) <= _letters(path))
    return next(whole, FONTS["DejaVu Sans"])

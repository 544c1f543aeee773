"""The frame that all pages share: one HTML document that fetches and runs nothing, and can be read by keyboard and by ear."""

from html import escape

from attune.report.page_style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; media-src data:; img-src data:"


def document(title: str, main: str, *, skip: str = "To the verdict", about: str = "", footer: str = "") -> str:
    """The whole file; `title` is escaped here, `main`, `about` (below the title) and `footer` are HTML already."""
    name = escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<link rel="icon" href="data:,">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">{escape(skip)}</a>\n'
        f'<header><h1>{name}</h1>{about}</header>\n<main id="main">\n{main}\n</main>\n'
        + (f"<footer>{footer}</footer>\n" if footer else "")
        + "</body>\n</html>\n"
    )

"""Fills in the lists that docstrings of settings name, such as {datasets}, by links to them.

A command's --help has the lists themselves; see mentormix_tf/config/.
"""

from mkdocs.utils import get_relative_url

LISTS = {
    "{datasets}": "datasets/#sources",
    "{noises}": "datasets/#noise",
    "{networks}": "networks/",
}


def on_page_content(html, page, config, files):
    if page.file.src_uri.startswith("api/"):
        for name, url in LISTS.items():
            html = html.replace(name, f'<a href="{get_relative_url(url, page.url)}">these</a>')
    return html

"""audit.html without a browser: what it says, and that nothing in it can run or be fetched."""

import html.parser
import json
import re

import numpy as np
import pytest

from mentormix_tf.reports import audit_page
from mentormix_tf.reports.audit_page import render
from tests.reports.pages import HOSTILE, SHA256, page


class Reader(html.parser.HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.scripts, self._in = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = (tag, dict(attrs).get("id", ""))

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in and self._in[0] in ("script", "style"):
            self.scripts[self._in] = data
        else:
            self.texts.append(data)

    def data(self):
        return json.loads(self.scripts["script", "data"])


def test_the_headline_and_the_data():
    given = page()
    read = Reader(render(given))
    text = " ".join(read.texts)
    for part in ("Label audit of pets", "runs/pets", "12.3%", "10.0% to 15.0%", "A note & more."):
        assert part in text
    data = read.data()
    assert data["split_sha256"] == SHA256 and data["class_names"] == ["cat", "dog", "owl"]
    assert [card["id"] for card in data["cards"]] == [card.id for card in given.cards]
    assert data["why"] == ["margin", "forgetting events"]
    assert data["cards"][0]["why"] == [-1.5, 2.0] and data["cards"][1]["why"] == [-1.5, None]
    assert len(data["images"]) == 50  # each once
    assert data["confusions"][0][2] == given.confusions.max()
    assert sum(count for *_, count in data["confusions"]) == 60


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_elsewhere_are_text(name):
    cards = [audit_page.Card(name, name, 0, 1, 0.1, True, None, {name: 1.0})]
    confusions = np.array([[0, 1], [0, 0]])
    given = dict(class_names=[name, "b"], title=name, subtitle=name, notes=[name], cards=cards)
    text = render(page(2, confusions=confusions, **given))
    plain = Reader(render(page(2, class_names=("a", "b"), confusions=confusions)))
    read = Reader(text)
    tags = [tag for tag, _ in read.elements]
    assert tags == [tag for tag, _ in plain.elements]
    data = read.data()
    assert data["class_names"][0] == data["cards"][0]["id"] == data["why"][0] == name
    assert "\u2028" not in read.scripts["script", "data"]
    assert "<" not in read.scripts["script", "data"]


def test_nothing_is_fetched_and_only_its_own_script_runs():
    text = render(page())
    read = Reader(text)
    policy = next(a["content"] for t, a in read.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    for _, attributes in read.elements:
        assert not {"src", "href", "style", "onclick"} & set(attributes)
    assert not re.search(r"https?://", text)


@pytest.mark.parametrize("other", [b"<svg onload=alert(1)>", b"RIFF\0\0\0\0WAVEfmt ", b""])
def test_an_image_must_be_one(other):
    with pytest.raises(ValueError, match="no PNG, JPEG or WebP"):
        render(page(cards=[audit_page.Card("a", "", 0, 1, 0.1, True, other, {})]))


def test_nothing_suspicious():
    empty = np.zeros((3, 3), int)
    nothing = np.zeros(10, bool)
    text = render(page(0, cards=[], confusions=empty, flagged=nothing, qualities=np.ones(10)))
    assert "Most confused</dt><dd>none" in text and ">nan" not in text.lower()


def test_the_histogram_counts_all_examples():
    read = render(page())
    shown = re.findall(r"<title>[\d.]+ to [\d.]+: (\d+) labels, (\d+) flagged</title>", read)
    assert len(shown) == 80 and sum(int(count) for count, _ in shown[:40]) == 180

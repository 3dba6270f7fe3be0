"""report.html: what it holds, and that it shows names from elsewhere as text."""

import json
import re

import pytest

from mentormix_tf.reports import study_page
from mentormix_tf.studies import figures, report_page

HOSTILE = "</script><script>alert(1)</script>&amp;<b>\u2028"


def rows(method="mentormix", kind="digits-symmetric"):
    runs, curves = [], []
    for level in (0.2, 0.4):
        for seed in (0, 1):
            run = {"kind": kind, "level": level, "method": method, "seed": seed}
            peak = 0.9 - level / 2 + seed / 100
            settings = json.dumps({"gamma_p": 1 - level})
            runs.append({**run, "peak": peak, "final": peak - level / 4, "settings": settings})
            curves += [
                {**run, "step": step, "test_accuracy": peak - (200 - step) / 1000}
                for step in (100, 200)
            ]
    return runs, curves


def held(text):
    """The data that a page holds."""
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


def test_the_page_has_every_run_and_curve():
    runs, curves = rows()
    text = study_page.render(report_page.make("A study", "small_cnn", runs, curves, False))
    data = held(text)
    assert [(run["level"], run["seed"]) for run in data["runs"]] == [
        (0.2, 0),
        (0.2, 1),
        (0.4, 0),
        (0.4, 1),
    ]
    assert data["runs"][0]["settings"] == {"gamma_p": 0.8} and data["runs"][2]["final"] == 0.6
    (first, low), (second, high) = data["curves"][0]["points"]
    assert (first, second) == (100, 200) and (low, high) == pytest.approx((0.7, 0.8))
    style = figures.method_style("mentormix")
    assert data["methods"] == [
        {"name": "mentormix", "title": "MentorMix", "color": "black", "marker": style["marker"]}
    ]
    assert data["published"] == []


def test_published_numbers_only_where_they_are_asked_for():
    runs, curves = rows(kind="cifar10-symmetric")
    data = held(study_page.render(report_page.make("A study", "", runs, curves, True)))
    assert data["published"] and all(each["method"] == "mentormix" for each in data["published"])


def test_names_from_elsewhere_stay_text():
    runs, curves = rows(kind=HOSTILE)
    text = study_page.render(report_page.make(HOSTILE, HOSTILE, runs, curves, False))
    assert held(text)["runs"][0]["kind"] == HOSTILE
    assert "alert(1)</script>" not in text and text.count("<script") == 2
    assert "script-src 'sha256-" in text and "unsafe" not in text

"""report.html in headless Chromium: figures, legend, tables."""

import pytest

from mentormix_tf.reports import study_page
from mentormix_tf.studies import report_page
from tests.reports.test_study_page import HOSTILE, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def show(open_page):
    """Opens the page of some rows."""

    def show(runs, curves, paper=False):
        page = report_page.make("A study", "small_cnn; seeds 0, 1", runs, curves, paper)
        return open_page(study_page.render(page))

    return show


def two_methods():
    (runs, curves), (more_runs, more_curves) = rows("vanilla"), rows("mentormix")
    for run in more_runs:
        run["final"] += 0.1
    return runs + more_runs, curves + more_curves


def column(tab, table, number):
    return tab.locator(f"#{table} tbody tr td:nth-child({number})").all_inner_texts()


def test_each_run_is_a_dot_that_tells_its_flags(show):
    tab = show(*two_methods())
    dots = tab.locator("#by_level .dot")
    assert dots.count() == 8 and tab.locator("#by_level polyline").count() == 2
    assert tab.locator("#over_training polyline").count() == 2
    dots.nth(7).hover()
    told = tab.inner_text("#tip")
    assert told == "MentorMix, 40 % wrong labels, seed 1: peak 71.0 %, final 71.0 %. --gamma_p=0.6"
    dots.nth(0).focus()
    assert tab.inner_text("#tip").startswith("Vanilla, 20 % wrong labels, seed 0")


def test_the_legend_switches_methods_off_and_on(show):
    tab = show(*two_methods())
    button = tab.get_by_role("button", name="Vanilla")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.locator("#by_level .dot").count() == 4
    assert column(tab, "means", 1) == ["MentorMix"] and len(column(tab, "runs", 1)) == 4
    button.click()
    assert tab.locator("#by_level .dot").count() == 8


def test_tables_are_sorted_by_any_column(show):
    tab = show(*two_methods())
    assert column(tab, "means", 2) == ["68.0", "78.0"]
    head = tab.locator("#runs th button", has_text="Final")
    head.click()
    values = [float(text) for text in column(tab, "runs", 4)]
    assert values == sorted(values) and len(values) == 8
    head = tab.locator("#runs th button", has_text="Final")
    head.click()
    assert [float(text) for text in column(tab, "runs", 4)] == sorted(values, reverse=True)
    assert "descending" in tab.locator("#runs th").nth(3).get_attribute("aria-sort")


def test_drop_and_published_numbers(show):
    runs, curves = rows("mentormix", kind="cifar10-symmetric")
    tab = show(runs, curves, paper=True)
    tab.select_option("#measure", "drop")
    assert "points" in tab.locator("#by_level text").last.text_content()
    tab.check("#published")
    assert tab.input_value("#measure") == "peak"
    assert tab.locator("#by_level polyline[stroke-dasharray]").count() >= 1


def test_kinds_and_unknown_levels(show):
    runs, curves = rows("mentormix")
    other, more = rows("mentormix", kind=HOSTILE)
    for row in (*other, *more):
        row["level"] = None
    tab = show(runs + other, curves + more)
    tab.select_option("#kind", index=1)
    assert tab.locator("#kind option").nth(1).text_content() == HOSTILE
    assert column(tab, "runs", 2) == ["unknown"] * 4
    assert not tab.is_visible("#published_label")


def test_a_narrow_screen_does_not_scroll_sideways(show):
    tab = show(*two_methods())
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

"""audit.html in headless Chromium: looking, deciding, saving."""

import csv
import io

import pytest

from mentormix_tf.reports.audit_page import Card, render
from tests.reports.pages import HOSTILE, SHA256, page

pytestmark = pytest.mark.slow


@pytest.fixture
def show(open_page):
    """Opens the page of an audit."""
    return lambda given: open_page(render(given))


def saved(tab):
    with tab.expect_download() as download:
        tab.click("#save")
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        first, *rest = file.read().splitlines(keepends=True)
    assert first == f"# split_sha256={SHA256}\n"
    return list(csv.reader(io.StringIO("".join(rest))))


def wait_for_message(tab, text):
    """Waits for what the page says of a file, which it reads in the background."""
    has_text = "text => document.getElementById('message').textContent.includes(text)"
    tab.wait_for_function(has_text, arg=text)


def ids(tab):
    return tab.eval_on_selector_all(".card .facts bdi", "all => all.map(e => e.textContent)")


def test_keys_decide_and_are_undone(show):
    given = page()
    names = given.class_names
    tab = show(given)
    for key in ("y", "n", "d", "3", "y", "u"):
        tab.keyboard.press(key)
    cards = given.cards
    third = "keep" if names[cards[3].given] == "owl" else "relabel"
    expected = [
        ["id", "decision", "label"],
        [cards[0].id, "relabel", names[cards[0].suggested]],
        [cards[1].id, "keep", names[cards[1].given]],
        [cards[2].id, "drop", ""],
        [cards[3].id, third, "owl"],
    ]
    assert saved(tab) == expected
    assert "4 of 60 decided" in tab.inner_text("#count")
    tab.reload()
    assert "4 of 60 decided" in tab.inner_text("#count")
    assert saved(tab) == expected


def test_keys_decide_the_card_that_tab_reached(show):
    given = page()
    tab = show(given)
    tab.locator(".card").nth(3).locator(".actions button").first.focus()
    tab.keyboard.press("d")
    tab.keyboard.press("d")
    assert [row[0] for row in saved(tab)[1:]] == [given.cards[3].id, given.cards[4].id]


def test_a_key_held_down_decides_one_card(show):
    tab = show(page())
    tab.keyboard.down("y")
    tab.keyboard.down("y")  # a repetition
    tab.keyboard.up("y")
    assert "1 of 60 decided" in tab.inner_text("#count")


def test_pages(show):
    tab = show(page())
    first = ids(tab)
    assert "page 1 of 3" in tab.inner_text("#page")
    tab.keyboard.press("ArrowRight")
    assert "page 2 of 3" in tab.inner_text("#page") and ids(tab) != first
    tab.keyboard.press("ArrowLeft")
    assert ids(tab) == first
    tab.click("#next"), tab.click("#next")
    assert tab.is_disabled("#next") and len(ids(tab)) == 60 - 2 * 24


def test_filters(show):
    given = page()
    tab = show(given)
    tab.select_option("#given", label="dog")
    expected = [card.file for card in given.cards if card.given == 1]
    assert ids(tab) == expected[:24]
    tab.click("#everything")
    tab.fill("#search", "TRAIN_00007")
    assert ids(tab) == ["photos/7.jpg"]
    tab.fill("#search", "nothing")
    assert "No label matches" in tab.inner_text("#cards")
    tab.click("#everything")
    tab.check("#flagged")
    flagged = sum(card.is_issue for card in given.cards)
    assert f"{flagged} labels" in tab.inner_text("#page")
    tab.keyboard.press("y")
    tab.check("#undecided")
    assert f"{flagged - 1} labels" in tab.inner_text("#page")
    tab.click("#everything")
    tab.click("#confusions button >> nth=0")
    assert tab.input_value("#given") != "" and tab.input_value("#suggested") != ""


def test_any_class_by_the_list_and_decisions_loaded_again(show, tmp_path):
    names = [f"class {i}" for i in range(12)]
    tab = show(page(class_names=names))
    choose = tab.locator(".card select").first
    choose.focus()
    choose.select_option(label="class 11")
    [_, row] = saved(tab)
    assert row == ["train_00000", "relabel", "class 11"]
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.click("#clear")
    assert "0 of 60" in tab.inner_text("#count")
    path = tmp_path / "corrections.csv"
    path.write_text(f"# split_sha256={SHA256}\nid,decision,label\ntrain_00001,drop,\nx,keep,a\n")
    tab.set_input_files("#load", path)
    wait_for_message(tab, "1 decisions were loaded")
    path.write_text(f"# split_sha256={'0' * 64}\nid,decision,label\ntrain_00001,drop,\n")
    tab.set_input_files("#load", path)
    wait_for_message(tab, "corrections of other labels")


@pytest.mark.parametrize("count", [len(HOSTILE), 1000])
def test_names_are_shown_as_text_and_saved_as_they_are(show, count):
    from mentormix_tf import files

    names = [*HOSTILE, *(f"class {i}" for i in range(count - len(HOSTILE)))]
    cards = [
        Card(f"{name} {i}", name, i, (i + 1) % len(HOSTILE), 0.1, True, None, {"why": 1.0})
        for i, name in enumerate(HOSTILE)
    ]
    tab = show(page(class_names=names, cards=cards))
    assert tab.title() == "Label audit of pets"
    shown = tab.eval_on_selector_all(".labels", "all => all.map(e => e.textContent)")
    assert shown[1] == f"{names[1]} → {names[2]}"
    assert tab.locator("img[src=x]").count() == 0
    for _ in HOSTILE:
        tab.keyboard.press("y")
    rows = saved(tab)[1:]
    # A cell that a spreadsheet would run has a quotation mark before it, which reading removes.
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    text = "".join(files.csv_text(rows))
    assert text.count("'=cmd") >= 1
    labels = {row[2].removeprefix("'") for row in rows}
    assert labels == {names[(i + 1) % len(HOSTILE)] for i in range(len(HOSTILE))}


def test_five_thousand_examples_page_quickly(show):
    tab = show(page(5000, every_image=False))
    milliseconds = tab.evaluate(
        """() => {
          const times = [];
          for (let i = 0; i < 50; i++) {
            const start = performance.now();
            turn(1);
            document.body.offsetHeight; // lays the page out
            times.push(performance.now() - start);
          }
          return times.sort((a, b) => a - b)[25];
        }"""
    )
    print(f"a page takes {milliseconds:.1f} ms")
    assert milliseconds < 100  # what readers take for at once
    assert "no image" in tab.inner_text("#cards")


def test_a_browser_that_keeps_nothing(show, browser, tmp_path):
    (tmp_path / "audit.html").write_text(render(page()))
    tab = browser.new_page()
    tab.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"
    )
    tab.goto(f"file://{tmp_path}/audit.html")
    tab.keyboard.press("y")
    assert "keeps no decisions" in tab.inner_text("#message")
    assert len(saved(tab)) == 2

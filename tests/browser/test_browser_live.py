"""The retrieval browser in a real JupyterLab: with the mouse, with keys alone, and from Python."""

import json
import re
from pathlib import Path

import pytest
import torch
from browser.colours import save_domain
from browser.pixels import widths
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tools.jupyter import open_notebook, run_cell, write_notebook

HOSTILE = ('<img src=x onerror="document.title=1">', "quo'te\" & <b>bold</b>", "right \u202eto left", "boat")
CELLS = [
    "import torch\nfrom pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz.browser import RetrievalBrowser\nfolder = Path('{folder}')",
    "def load(model):\n"
    "    return [Embeddings.load(folder / f'{{model}}-{{name}}') for name in ('line', 'flat')]\n"
    "models = {{'good': load('good'), 'poor': load('poor')}}\n"
    "def embed(given, domain):\n    return models['good'][1].vectors[5, None]\n"
    "browser = RetrievalBrowser(models, k=12, page_size=10, embedders={{'good': embed}})\nbrowser",
    "import json\nstate = browser.view | {{'rows': browser.selection.to_dict('records')}}\n"
    "(folder / 'state.json').write_text(json.dumps(state))",
    "browser.go(category='boat', model='poor')\nbrowser.show(3)",
    "place = dict(domain='line', query=browser.query)\n"
    "browser.go(selected=[place | dict(index=browser.query['index'])])",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two domains of 24 images in four classes whose names are hostile, under two models."""
    folder = tmp_path_factory.mktemp("live")
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 4
    for name in ("line", "flat"):
        for model, noise in (("good", 0.3), ("poor", 1.0)):
            rows = torch.eye(8)[labels] + noise * torch.randn(24, 8, generator=rng)
            file = folder / f"{model}-{name}"
            save_domain(file, name, rows, labels, HOSTILE, stem="<b>{name}<i> {i}")
    Image.new("RGB", (3000, 2500), "green").save(folder / "mine.png")
    return folder


@pytest.fixture
def live(lab, page, folder) -> Locator:
    """The browser of a fresh notebook whose cells 1 and 2 have run."""
    root, address = lab
    name = f"{len(list(root.glob('*.ipynb')))}.ipynb"
    write_notebook(root / name, [source.format(folder=folder) for source in CELLS])
    open_notebook(page, address.format(name))
    for i in (0, 1):
        run_cell(page, i)
    browser = page.locator(".tps-browser").first
    browser.locator(".tps-results .tps-tile").first.wait_for()
    return browser


def state(page: Page, folder: Path) -> dict:
    """The view and the selection as Python has them."""
    run_cell(page, 2)
    return json.loads((folder / "state.json").read_text())


def ranking(browser: Locator) -> list[str]:
    tiles = browser.locator(".tps-results").first.locator(".tps-tile")
    return tiles.evaluate_all("tiles => tiles.map(tile => tile.dataset.index)")


def test_a_page_is_reached_by_its_number(live, page, folder):
    first = live.locator(".tps-query").evaluate_all("tiles => tiles.map(tile => tile.dataset.index)")
    live.get_by_label("page", exact=True).fill("3")
    live.get_by_label("page", exact=True).press("Enter")
    expect(live.locator(".tps-where")).to_contain_text("of 3: 21–24 of 24")
    last = live.locator(".tps-query").evaluate_all("tiles => tiles.map(tile => tile.dataset.index)")
    assert len(last) == 4 and not set(first) & set(last)


def test_a_clicked_result_is_the_next_query_and_the_way_leads_back(live, page, folder):
    first, path = ranking(live), live.locator(".tps-title .tps-path")
    old = path.inner_text()
    live.locator(".tps-query .tps-face").nth(4).click()
    expect(path).not_to_have_text(old)
    second, old = ranking(live), path.inner_text()
    assert second != first
    live.locator(".tps-results .tps-face").nth(1).click()
    expect(path).to_contain_text("<b>flat<i>")
    walked = state(page, folder)["trail"]
    assert walked[2]["domain"] == "flat" and walked[2]["gallery"] == "line"
    assert walked[2]["index"] == int(second[1])
    live.get_by_role("button", name="back").click()
    expect(path).to_have_text(old)
    expect(live.locator(".tps-way button").nth(1)).to_have_attribute("aria-current", "step")
    assert ranking(live) == second
    live.get_by_label("a clicked result asks").select_option("same")
    live.locator(".tps-results .tps-face").nth(0).click()
    expect(live.locator(".tps-way button")).to_have_count(3)
    last = state(page, folder)["trail"][-1]
    assert last["domain"] == last["gallery"] == "flat"


def test_keys_alone_ask_select_and_export(live, page, folder):
    before, cells = ranking(live), page.locator(".jp-Cell").count()
    face = live.locator(".tps-query .tps-face").first
    face.focus()
    for key in ("ArrowRight", "ArrowDown", "Home", "End", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(live.locator(".tps-query").nth(8)).to_have_class(re.compile("tps-here"))
    assert ranking(live) != before
    live.locator(".tps-results .tps-face").first.focus()
    for key in ("x", "ArrowRight", "x", "d", "d", "b", "a", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    expect(live.get_by_text("2 selected")).to_be_visible()
    assert page.locator(".jp-Cell").count() == cells  # d d deletes a cell elsewhere, a and b add one
    with page.expect_download() as download:
        live.get_by_role("button", name="save the selection").press("Enter")
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 3 and "<b>flat<i>" in lines[1]
    live.locator(".tps-results .tps-face").first.focus()
    page.keyboard.press("[")
    expect(live.locator(".tps-way button").first).to_have_attribute("aria-current", "step")
    page.keyboard.press("v")
    expect(live.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(live.locator("dialog")).to_be_hidden()
    page.keyboard.press("/")
    expect(live.get_by_label("ask in words")).to_be_focused()
    page.keyboard.type("boat")
    page.keyboard.press("Enter")
    expect(live.locator(".tps-title")).to_contain_text("“boat”")
    rows = state(page, folder)["rows"]
    assert [row["rank"] for row in rows] == [1, 2] and rows[0]["query"].endswith(".webp")


NAME = "n => n.ariaLabel || n.closest('label')?.innerText || n.innerText"


def tab_to(page: Page, name: str) -> Locator:
    """Press Tab until the control of that name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.locator(":focus")
        if here.count() and here.evaluate(NAME) == name:
            return here
    raise AssertionError(f"Tab does not reach {name!r}")


def test_every_control_works_by_keys(live, page, folder):
    names = live.locator(".tps-bar :is(select, input, button)").evaluate_all(
        f"all => all.filter(n => n.offsetParent && !n.closest('.tps-way')).map({NAME})"
    )
    answers, tried = live.locator(".tps-right"), set()

    def press(name: str, *keys: str) -> Locator:
        tried.add(name)
        live.focus()
        control = tab_to(page, name)
        for key in keys:
            page.keyboard.type(key) if len(key) == 1 else page.keyboard.press(key)
        expect(answers).to_have_attribute("aria-busy", "false")
        return control

    status = live.get_by_role("status")
    press("keys", "Enter")
    expect(status).to_contain_text("arrows: walk")
    expect(press("model", "ArrowDown")).to_have_value("poor")
    expect(press("beside", "ArrowDown")).to_have_value("good")
    expect(press("re-ranking", "ArrowDown")).not_to_have_value("")
    expect(press("asked in", "ArrowUp")).to_have_value("line")
    expect(press("queries of", "ArrowDown")).to_have_value("flat")
    press("swap the two domains", "Space")
    expect(live.get_by_label("queries of")).to_have_value("line")
    expect(press("order", "ArrowDown")).not_to_have_value("sample")
    expect(press("only", "ArrowDown")).not_to_have_value("all")
    press("class", *"boat", "Enter")
    expect(live.locator(".tps-where")).to_contain_text("of 1:")
    press("class", "Control+a", "Delete", "Enter")
    expect(press("only", "Home")).to_have_value("all")
    press("next page of queries", "Enter")
    expect(live.locator(".tps-where")).to_contain_text("11–20 of 24")
    press("previous page of queries", "Enter")
    expect(live.locator(".tps-where")).to_contain_text("1–10 of 24")
    press("page", "Control+a", "3", "Enter")
    expect(live.locator(".tps-where")).to_contain_text("21–24 of 24")
    press("a clicked result asks", "ArrowDown")
    expect(press("model", "ArrowUp")).to_have_value("good")  # the other one has no embedder
    press("ask in words", *"drum", "Enter")
    expect(live.locator(".tps-title")).to_contain_text("“drum”")
    press("back", "Enter")
    expect(live.locator(".tps-title")).not_to_contain_text("“drum”")
    press("forward", "Enter")
    expect(live.locator(".tps-title")).to_contain_text("“drum”")
    live.focus()
    tab_to(page, live.locator(".tps-way button").first.inner_text())
    page.keyboard.press("Enter")
    expect(live.locator(".tps-way button").first).to_have_attribute("aria-current", "step")
    with page.expect_file_chooser():
        press(next(name for name in names if name.startswith("ask with a picture")), "Enter")
    live.locator(".tps-result .tps-face").first.focus()
    page.keyboard.press("x")
    with page.expect_download():
        press("save the selection as a CSV file", "Enter")
    press("select nothing", "Enter")
    expect(live.get_by_text("0 selected")).to_be_visible()
    assert set(names) == tried
    held = state(page, folder)
    assert (held["model"], held["query_domain"], held["gallery_domain"]) == ("good", "line", "flat")


def test_what_python_selects_is_marked(live, page):
    run_cell(page, 4)
    expect(live.get_by_text("1 selected")).to_be_visible()
    marked = live.locator(".tps-selected")
    expect(marked).to_have_count(1)
    expect(marked).to_have_class(re.compile("tps-here"))
    expect(marked.locator(".tps-mark")).to_have_attribute("aria-pressed", "true")


def test_python_changes_the_page_and_a_reload_keeps_it(live, page, folder, lab):
    run_cell(page, 3)
    expect(live.get_by_label("model", exact=True)).to_have_value("poor")
    expect(live.get_by_label("class")).to_have_value("boat")
    expect(live.locator(".tps-query")).to_have_count(6)
    shown = ranking(live)
    page.keyboard.press("Control+s")
    book = max(lab[0].glob("*.ipynb"), key=lambda path: path.stat().st_mtime)
    for _ in range(100):  # without the output on disk there is nothing to come back to
        if "widget-view" in book.read_text():
            break
        page.wait_for_timeout(200)
    page.reload()
    again = page.locator(".tps-browser").first
    again.locator(".tps-results .tps-tile").first.wait_for()
    expect(again.get_by_label("model", exact=True)).to_have_value("poor")
    expect(again.locator(".tps-query")).to_have_count(6)
    assert ranking(again) == shown
    assert state(page, folder)["category"] == "boat"


def test_two_models_side_by_side_and_what_flipped(live, page, folder):
    live.get_by_label("beside").select_option("poor")
    expect(live.locator("[data-role=model]")).to_have_count(2)
    expect(live.locator("[data-role=model]").first).to_contain_text(re.compile("was \\d+|= beside"))
    live.get_by_label("order").select_option("gains first")
    expect(live.locator(".tps-query").first).to_be_visible()
    assert state(page, folder)["order"] == "gains first"
    live.get_by_label("only").select_option("wrong")
    live.get_by_label("re-ranking").select_option("diffusion")
    live.get_by_role("button", name="swap the two domains").click()
    expect(live.get_by_label("queries of")).to_have_value("flat")
    held = state(page, folder)
    assert (held["only"], held["reranking"]) == ("wrong", "diffusion")
    assert (held["query_domain"], held["gallery_domain"]) == ("flat", "line")


def test_one_s_own_picture_is_chosen_pasted_or_dropped(live, page, folder):
    title = live.locator(".tps-title")
    live.locator("input[type=file]").set_input_files(folder / "mine.png")
    expect(title).to_contain_text("mine.png")
    assert widths(title.locator("img")) == [96]
    assert ranking(live)[0] == "5"
    for kind in ("paste", "drop"):
        live.locator(".tps-query .tps-face").first.click()
        expect(title).not_to_contain_text("pasted")
        live.evaluate(
            """async (root, kind) => {
                const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
                const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
                const data = new DataTransfer();
                data.items.add(new File([blob], `${kind}ed.png`, { type: "image/png" }));
                const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: data, bubbles: true })
                    : new ClipboardEvent(kind, { clipboardData: data, bubbles: true });
                root.querySelector(".tps-face").dispatchEvent(event);
            }""",
            kind,
        )
        expect(title).to_contain_text(f"{kind}ed.png")
    assert [entry.get("own") for entry in state(page, folder)["trail"]][-1] == 2


def test_a_broken_picture_is_named(live, page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    live.locator("input[type=file]").set_input_files(tmp_path / "broken.png")
    expect(live.get_by_role("status")).to_contain_text("broken.png is no image")


def test_names_and_paths_stay_text(live, page):
    live.get_by_label("class").fill(HOSTILE[0])
    live.get_by_label("class").press("Enter")
    expect(live.locator(".tps-query")).to_have_count(6)
    live.locator(".tps-query .tps-face").first.click()
    expect(live.locator(".tps-title b")).to_have_text(HOSTILE[0])
    expect(live.locator(".tps-title .tps-path")).to_contain_text("<b>line<i>")
    assert live.locator("img[src=x], .tps-title b b").count() == 0
    assert page.title() != "1"
    label = live.locator(".tps-result .tps-face").first.get_attribute("aria-label")
    assert label.startswith("rank 1: ") and re.search("right|wrong", label)


def test_without_the_kernel_the_page_says_so_and_keeps_the_last_answer(live, page):
    shown = ranking(live)
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Shut Down Kernel")).click()
    expect(page.locator("#jp-main-statusbar")).to_contain_text(re.compile("No Kernel|Unknown|Terminated"))
    live.locator(".tps-query .tps-face").nth(4).click()
    expect(live.get_by_role("status")).to_contain_text("does not answer", timeout=5_000)
    expect(live.locator(".tps-right")).to_have_attribute("aria-busy", "true")
    assert ranking(live) == shown


@pytest.mark.parametrize("width", [390, 800])
def test_in_a_narrow_window_nothing_is_cut_off(live, page, width):
    page.get_by_role("tab", name=re.compile("^File Browser")).click()  # closes the side bar
    page.set_viewport_size({"width": width, "height": 900})
    try:
        assert live.bounding_box()["width"] > width / 2
        live.locator(".tps-results .tps-face").first.scroll_into_view_if_needed()
        over = live.evaluate(
            """root => [...root.querySelectorAll("button, select, input, .tps-tile")]
                .filter(node => node.offsetParent)
                .filter(node => node.getBoundingClientRect().right > root.getBoundingClientRect().right + 1)
                .map(node => node.outerHTML.slice(0, 80))"""
        )
        assert over == []
    finally:
        page.set_viewport_size({"width": 1500, "height": 1100})


def test_it_is_there_while_later_cells_still_run(lab, page, folder):
    root, address = lab
    cells = [source.format(folder=folder) for source in CELLS[:2]]
    write_notebook(root / "busy.ipynb", [*cells, "import time\ntime.sleep(120)"])
    open_notebook(page, address.format("busy.ipynb"))
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    tiles = page.locator(".tps-browser .tps-results .tps-tile img")
    tiles.first.wait_for(timeout=100_000)
    assert min(widths(tiles)) > 0
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text("[*]:")

// The page of RetrievalBrowser (browser.py).

const KEYS = "arrows: walk · Enter: ask with it · x: select · v: in large · c: copy the path · [ ]: back, forward · " +
  "n p: next, previous page · /: ask in words · ?: this line";
const LIMIT = 3e6; // bytes: a larger picture of one's own is made smaller before it travels
const keyOf = (row) => `${row.domain}/${row.index}`;

function render({ model, el }) {
  const choices = model.get("choices"), pictures = album();
  const view = () => model.get("view");
  let shown = null, listed = null, drawn = { page: 0, ranking: 0 }, under = "other";

  // The parts, from top to bottom.
  let silent = null;
  const status = element("div", { className: "tps-status", role: "status" });
  const root = element("div", { className: "tps-browser", tabIndex: -1, role: "region", label: "retrieval browser" });
  const kernel = asker(model, (waiting, text) => {
    right.setAttribute("aria-busy", String(waiting));
    root.classList.toggle("tps-silent", Boolean(text));
    if (text || status.textContent === silent) say((silent = text));
  });
  const say = (text) => (status.textContent = text);
  const go = (change) => kernel.ask({ kind: "go", change });
  const show = (row, gallery) => kernel.ask({ kind: "show", domain: row.domain, index: row.index, gallery });
  const button = (text, title, onclick) => element("button", { type: "button", textContent: text, title, label: title, onclick });

  const models = choice("model", choices.models, (value) => go({ model: value }));
  const against = choice("beside", [["", "nothing"], ...choices.models], (value) => go({ against: value }));
  const from = choice("queries of", choices.domains, (value) => go({ query_domain: value }));
  const within = choice("asked in", choices.domains, (value) => go({ gallery_domain: value }));
  const swap = button("⇄", "swap the two domains", () =>
    go({ query_domain: view().gallery_domain, gallery_domain: view().query_domain }));
  const rerank = choice("re-ranking", [["", "none"], ...choices.rerankings], (value) => go({ reranking: value }));
  const orders = choice("order", [], (value) => go({ order: value }));
  const only = choice("only", Object.entries(choices.only).map(([key, title]) => [key, title]), (value) => go({ only: value }));
  const names = element("datalist", { id: `tps-${Math.random().toString(36).slice(2)}` },
    ...choices.classes.map((value) => element("option", { value })));
  const category = element("input", { type: "search", placeholder: "all classes", label: "class", size: 12 });
  category.setAttribute("list", names.id);
  category.onchange = () => go({ category: category.value.trim() });
  const previous = button("◀", "previous page of queries", () => go({ page: listed.page - 1 }));
  const next = button("▶", "next page of queries", () => go({ page: listed.page + 1 }));
  const number = element("input", { type: "number", min: 1, value: 1, label: "page" });
  number.onchange = () => go({ page: Math.max(0, number.value - 1) });
  const where = element("span", { className: "tps-where" });
  const words = element("input", { type: "search", placeholder: "ask in words", label: "ask in words", size: 16 });
  words.onkeydown = (event) => {
    if (event.key === "Enter" && words.value.trim()) kernel.ask({ kind: "text", text: words.value });
  };
  const file = element("input", { type: "file", accept: "image/*", hidden: true, label: "a picture of your own" });
  file.onchange = () => (bring(file.files[0]), (file.value = ""));
  const own = button("your picture …", "ask with a picture of your own: choose, paste or drop it", () => file.click());
  const csv = button("CSV", "save the selection as a CSV file", () => kernel.ask({ kind: "csv" }));
  const none = button("clear", "select nothing", () => go({ selected: [] }));
  const count = element("span", {});
  const help = button("?", "keys", () => say(KEYS));

  const group = (...parts) => element("div", { className: "tps-group" }, ...parts);
  const bar = element("div", { className: "tps-bar" },
    group(models.field, against.field, rerank.field), group(from.field, swap, within.field));
  const asks = element("div", { className: "tps-bar" }, group(words, own, file), group(count, csv, none), help);
  const queries = element("div", { className: "tps-grid", role: "group", label: "queries" });
  const left = element("div", { className: "tps-left" },
    element("div", { className: "tps-bar" }, group(orders.field, only.field), group(element("label", {}, "class ", category), names)),
    element("div", { className: "tps-bar" }, group(previous, element("label", {}, "page ", number), next, where)), queries);
  const back = button("←", "back", () => go({ at: view().at - 1 }));
  const forth = button("→", "forward", () => go({ at: view().at + 1 }));
  const way = element("ol", { className: "tps-way", label: "the way here" });
  const direction = choice("a clicked result asks", [["other", "in the other domain"], ["same", "in its own domain"]], (value) => (under = value));
  const title = element("div", { className: "tps-title" });
  const lists = element("div", {});
  const right = element("div", { className: "tps-right" },
    element("div", { className: "tps-bar" }, group(back, forth), way, direction.field), title, lists);
  const large = element("dialog", { className: "tps-large", label: "an image in large" });
  root.append(bar, asks, element("div", { className: "tps-panes" }, left, right), status, large);
  fence(root);
  el.append(root);

  // A tile's face is a button: Tab, Enter and screen readers work.
  const tile = (row, lines, label, kind, press) => {
    const url = pictures.get(keyOf(row));
    const face = url ? element("img", { src: url, alt: "", draggable: false }) : element("span", { className: "tps-gone", textContent: "no image" });
    const main = element("button", { type: "button", className: "tps-face", title: label, label, onclick: press }, face,
      ...lines.map((line) => element("bdi", { textContent: line })));
    const mark = element("button", { type: "button", className: "tps-mark", tabIndex: -1, textContent: "☐", onclick: () => toggle(row) });
    const zoom = element("button", { type: "button", className: "tps-zoom", tabIndex: -1, textContent: "⤢", onclick: () => enlarge(row) });
    mark.setAttribute("aria-label", `select ${row.class || "image"}`);
    zoom.setAttribute("aria-label", `${row.class || "image"} in large`);
    const node = element("div", { className: `tps-tile ${kind}` }, main, mark, zoom);
    Object.assign(node.dataset, { domain: row.domain, index: row.index });
    node.row = row;
    main.onfocus = () => say(label);
    return node;
  };
  const isSelected = (row) => view().selected.some((entry) => keyOf(entry) === keyOf(row));
  const toggle = (row) => {
    const { domain, index, rank = null, score = null, right: good = null, model: by = "" } = row;
    const own = { domain, index, gallery: view().gallery_domain, label: row.class || `image ${index}` };
    kernel.ask({ kind: "toggle", entry: { domain, index, rank, score, right: good, model: by, query: rank ? shown.query : own } });
  };
  const markSelected = () => {
    for (const node of root.querySelectorAll(".tps-tile")) {
      const chosen = isSelected(node.row);
      node.classList.toggle("tps-selected", chosen);
      const mark = node.querySelector(".tps-mark");
      mark.textContent = chosen ? "☑" : "☐";
      mark.setAttribute("aria-pressed", String(chosen));
    }
    const n = view().selected.length;
    count.textContent = `${n} selected`;
    csv.disabled = none.disabled = n === 0;
  };
  const enlarge = (row) => kernel.ask({ kind: "view", domain: row.domain, index: row.index });
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no clipboard without https
      const field = element("textarea", { value: text });
      root.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    say(`copied ${text}`);
  };

  // A grid's arrow keys; one of its tiles is in the Tab order.
  const walk = (grid) => {
    const faces = [...grid.querySelectorAll(".tps-face")];
    faces.forEach((face, i) => (face.tabIndex = i ? -1 : 0));
    grid.onkeydown = (event) => {
      const here = faces.indexOf(document.activeElement);
      if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      const row = faces[here].parentNode.row;
      const columns = faces.filter((face) => face.parentNode.offsetTop === faces[0].parentNode.offsetTop).length;
      const goal = { ArrowRight: here + 1, ArrowLeft: here - 1, ArrowDown: here + columns, ArrowUp: here - columns,
        Home: 0, End: faces.length - 1 }[event.key];
      if (event.key === "x") toggle(row);
      else if (event.key === "v") enlarge(row);
      else if (event.key === "c") copy(row.path);
      else if (goal === undefined) return;
      event.preventDefault();
      if (!(goal >= 0 && goal < faces.length)) return;
      faces[here].tabIndex = -1;
      faces[goal].tabIndex = 0;
      faces[goal].focus();
    };
  };
  const replace = (grid, tiles) => { // the focus stays at its place
    const faces = [...grid.querySelectorAll(".tps-face")], here = faces.indexOf(document.activeElement);
    grid.replaceChildren(...tiles);
    walk(grid);
    if (here >= 0) (tiles[Math.min(here, tiles.length - 1)]?.firstChild ?? root).focus();
  };

  const percent = (value) => (value === null || value === undefined ? "" : `${Math.round(value)} %`);
  const drawPage = (answer, buffers) => {
    answer.rows.forEach((row, i) => pictures.put(keyOf(row), buffers[i]));
    listed = answer;
    replace(queries, answer.rows.map((row) => {
      const worth = row.rejected ? "no match" : row.ap === null ? "" : `AP ${percent(row.ap)}`;
      const label = [`query: ${row.class || `image ${row.index}`}`, row.text].filter(Boolean).join(", ");
      return tile(row, [row.class, worth], label, "tps-query", () => show(row, view().gallery_domain));
    }));
    const n = answer.rows.length;
    where.textContent = n ? `of ${answer.pages}: ${answer.first + 1}–${answer.first + n} of ${answer.total}` : "no query is like that";
    number.value = answer.page + 1;
    number.max = answer.pages;
    previous.disabled = answer.page === 0;
    next.disabled = answer.page + 1 >= answer.pages;
    markQuery();
    markSelected();
  };
  const markQuery = () => {
    for (const node of queries.children) {
      const here = shown && keyOf(node.row) === keyOf(shown.query);
      node.classList.toggle("tps-here", Boolean(here));
      node.firstChild.setAttribute("aria-pressed", String(Boolean(here)));
    }
  };

  const result = (list, row) => {
    const verdict = { true: "right", false: "wrong" }[row.right] ?? "";
    const sign = { true: "✓ ", false: "✗ " }[row.right] ?? "";
    const moved = row.was && (row.was === row.rank ? "= beside" : `${row.was > row.rank ? "▲" : "▼"} was ${row.was}`);
    const name = row.class || `image ${row.index}`;
    const label = [`rank ${row.rank}: ${name}`, row.domain, verdict, `similarity ${row.score.toFixed(3)}`,
      row.was && `rank ${row.was} by the model beside`, row.returned !== undefined && `returned to ${row.returned} queries`]
      .filter(Boolean).join(", ");
    const top = list.role === "truth" ? `${sign}rank ${row.rank}` : `${sign}${row.score.toFixed(2)}`;
    const kind = row.right === null ? "" : row.right ? "tps-yes" : "tps-no";
    return tile({ ...row, model: list.role === "model" ? list.name : view().model }, [top, moved, name].filter(Boolean), label, `tps-result ${kind}`,
      () => show(row, under === "same" ? row.domain : across(row)));
  };
  const across = (row) => { // where a clicked result is asked: in the query's domain, if that is another one
    const { domain } = shown.query;
    return domain && domain !== row.domain ? domain : choices.domains.find((name) => name !== row.domain) ?? row.domain;
  };
  const drawRanking = (answer, buffers) => {
    shown = answer;
    answer.images.forEach((key, i) => pictures.put(key, buffers[i + 1]));
    const asked = answer.query, first = answer.lists[0];
    const key = asked.index === undefined ? `own/${asked.own}` : keyOf(asked);
    const url = buffers[0]?.byteLength ? pictures.put(key, buffers[0]) : "";
    const hits = Object.entries(first.hits ?? {}).map(([depth, [right, most]]) => `P@${depth} ${right}/${most}`).join(" · ");
    const path = element("bdi", { className: "tps-path", textContent: asked.path ?? "", title: asked.path ?? "" });
    title.replaceChildren(
      url ? element("img", { src: url, alt: `query: ${asked.label}` }) : element("span", { className: "tps-words", textContent: "“ ”" }),
      element("div", {}, element("b", {}, element("bdi", { textContent: asked.label })),
        element("div", { textContent: [asked.domain, `asked in ${asked.gallery}`].filter(Boolean).join(", ") }),
        element("div", { className: "tps-worth", textContent: [first.text, hits].filter(Boolean).join(" · ") }),
        ...(asked.path ? [path, button("copy path", "copy the query's path", () => copy(asked.path))] : [])));
    const blocks = answer.lists.map((list) => {
      const grid = element("div", { className: "tps-grid tps-results", role: "group", label: list.name });
      grid.dataset.role = list.role;
      grid.classList.toggle("tps-rejected", Boolean(list.rejected));
      grid.append(...list.rows.map((row) => result(list, row)));
      const head = [list.name, list.text, list.why].filter(Boolean).join(": ");
      return element("section", {}, element("h4", {}, element("bdi", { textContent: head })), grid);
    });
    const held = [...lists.querySelectorAll(".tps-face")].includes(document.activeElement);
    lists.replaceChildren(...blocks);
    lists.querySelectorAll(".tps-grid").forEach(walk);
    if (held) (lists.querySelector(".tps-face") ?? root).focus();
    say([asked.label, first.text].filter(Boolean).join(": "));
    markQuery();
    markSelected();
  };
  const drawLarge = (answer, buffers) => {
    const url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/webp" }));
    const close = button("close", "close", () => large.close());
    large.onclose = () => URL.revokeObjectURL(url);
    large.replaceChildren(element("img", { src: url, alt: answer.class || "image" }),
      element("div", {}, element("b", {}, element("bdi", { textContent: answer.class || "" })), ` ${answer.domain}`),
      element("bdi", { className: "tps-path", textContent: answer.path }),
      element("div", { className: "tps-group" }, button("copy path", "copy its path", () => copy(answer.path)),
        button("ask with it", "ask with this image", () => (large.close(), show(answer, view().gallery_domain))), close));
    large.showModal();
  };

  // The controls say what the kernel holds, whoever has changed it.
  const controls = () => {
    const now = view();
    models.select.value = now.model;
    against.select.value = now.against;
    rerank.select.value = now.reranking;
    from.select.value = now.query_domain;
    within.select.value = now.gallery_domain;
    const open = Object.entries(choices.orders).filter(([key]) => now.against || !choices.comparing.includes(key));
    orders.select.fill(open.map(([key, title]) => [key, key, title]));
    orders.select.value = now.order;
    only.select.value = now.only;
    category.value = now.category;
    back.disabled = now.at === 0;
    forth.disabled = now.at + 1 >= now.trail.length;
    way.replaceChildren(...now.trail.map((entry, i) => [entry, i]).slice(-8).map(([entry, i]) => {
      const step = element("button", { type: "button", onclick: () => go({ at: i }) }, element("bdi", { textContent: entry.label }));
      if (i === now.at) step.setAttribute("aria-current", "step");
      return element("li", {}, step);
    }));
    markSelected();
  };
  for (const [part, why] of [[against.field, choices.models.length < 2], [category, !choices.classes.length],
    [words, !choices.asks.length], [own, !choices.asks.length]]) part.hidden = why;

  const bring = async (picture) => {
    if (!picture) return;
    let bytes = picture;
    if (picture.size > LIMIT) {
      const bitmap = await createImageBitmap(picture).catch(() => null);
      if (!bitmap) return say(`${picture.name} is no image that can be read`);
      const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
      const canvas = element("canvas", { width: bitmap.width * scale, height: bitmap.height * scale });
      canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      bytes = await new Promise((done) => canvas.toBlob(done, "image/png"));
    }
    kernel.ask({ kind: "own", name: picture.name || "pasted picture" }, [await bytes.arrayBuffer()]);
  };
  root.addEventListener("paste", (event) => {
    const picture = [...(event.clipboardData?.files ?? [])][0];
    if (picture && choices.asks.length) (event.preventDefault(), bring(picture));
  });
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (choices.asks.length) bring([...event.dataTransfer.files][0]);
  });
  root.addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { "[": () => back.click(), "]": () => forth.click(), n: () => next.click(), p: () => previous.click(),
      "/": () => words.focus(), "?": () => say(KEYS) }[event.key];
    if (act) (event.preventDefault(), act());
  });

  const receive = (answer, buffers = []) => {
    if (answer.version !== undefined) {
      if (answer.version < drawn[answer.kind]) return; // something newer is drawn
      drawn[answer.kind] = answer.version;
    }
    if (answer.kind === "page") drawPage(answer, buffers);
    else if (answer.kind === "ranking") drawRanking(answer, buffers);
    else if (answer.kind === "view") kernel.mine(answer.id) && drawLarge(answer, buffers);
    else if (answer.kind === "csv" && kernel.mine(answer.id)) {
      const url = URL.createObjectURL(new Blob([answer.text], { type: "text/csv" }));
      element("a", { href: url, download: "selection.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
      say("saved selection.csv");
    } else if (answer.kind === "working") (kernel.working(), say(answer.text));
    else if (answer.kind === "error") say(answer.text);
    else if (answer.kind === "done") (kernel.done(answer.id), controls());
  };
  model.on("msg:custom", receive);
  model.on("change:view", controls);
  controls();
  const opening = model.get("opening");
  for (const { message, buffers } of opening) receive(message, buffers);
  kernel.ask({ kind: "hello", has: opening.length > 0 });

  return () => {
    kernel.stop();
    model.off("msg:custom", receive);
    model.off("change:view", controls);
    pictures.clear();
  };
}

export default { render };

// The page of HoverMap (hover_map.py).

const PICK = 14; // px: how near the pointer must be
const DWELL = 125; // ms: how long it must stay, so that the card does not flicker
const EDGE = 16, MOST = 560; // px: margin, greatest height
const HINT = "Hover a point for its image, click it for its neighbours; drag to move, + − or Ctrl and wheel to zoom, 0 for all.";
const MANY = 3000; // points: more are sketched while they move
const RAMP = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"]; // viridis
const VERDICT = { right: "#00795c", wrong: "#c94a00" }, NONE = "#9a9a9a";

function render({ model, el }) {
  const pictures = album();
  const canvas = element("canvas", { tabIndex: 0, role: "application",
    label: "map of images: arrow keys move to the next point, Enter shows its neighbours, plus and minus zoom" });
  const over = element("canvas", { className: "tps-over" });
  const picture = element("img", { alt: "" }), caption = element("div");
  const card = element("div", { className: "tps-card" }, picture, caption);
  const stage = element("div", { className: "tps-stage" }, canvas, over, card);
  const status = element("div", { className: "tps-status", role: "status", textContent: HINT });
  const strip = element("div", { className: "tps-strip", role: "group", label: "the point and its nearest in the original space" });
  const bar = element("div", { className: "tps-bar" }), legend = element("div", { className: "tps-legend" });
  const root = element("div", { className: "tps-map", role: "region", label: "map of images" }, bar, legend, stage, status, strip);
  fence(root);
  el.append(root);
  let silent = null;
  const say = (text) => (status.textContent = text);
  const kernel = asker(model, (waiting, text) => {
    root.setAttribute("aria-busy", String(waiting));
    if (text || status.textContent === silent) say((silent = text) || HINT);
  });

  let data = null, map = null, by = "domain", highlight = -1, shade = null;
  let flat = null; // where the points stand on the map; `spot` puts them on the screen
  let lens = { x: 0, y: 0, zoom: 1 }, size = { w: 0, h: 0, ratio: 1 };
  let hovered = -1, linked = [], centre = -1, timer = 0, rest = 0;
  const known = new Map(); // index → what its card shows

  const spot = (i) => [size.w / 2 + (flat[2 * i] - lens.x) * lens.zoom * size.unit, size.h / 2 - (flat[2 * i + 1] - lens.y) * lens.zoom * size.unit];
  const text = (row) => `${row.class || `image ${row.index}`} (${row.domain})`;

  // Coordinates about the middle, the larger extent 1; far points do not count.
  const fit = (raw) => {
    const last = raw.length / 2 - 1, axis = (a) => Float32Array.from({ length: last + 1 }, (_, i) => raw[2 * i + a]);
    const ordered = [axis(0).sort(), axis(1).sort()];
    const [low, high] = [data.head.tail, 1 - data.head.tail].map((q) => ordered.map((values) => values[Math.round(q * last)]));
    const close = (i) => [0, 1].every((a) => Math.abs(raw[2 * i + a] - (low[a] + high[a]) / 2) <= 1.5 * (high[a] - low[a]));
    const some = ordered[0].some((_, i) => close(i)), near = (i) => !some || close(i);
    const [least, most] = [[Infinity, Infinity], [-Infinity, -Infinity]];
    for (let i = 0; i <= last; i++) if (near(i)) for (const a of [0, 1]) {
      least[a] = Math.min(least[a], raw[2 * i + a]);
      most[a] = Math.max(most[a], raw[2 * i + a]);
    }
    const extent = Math.max(most[0] - least[0], most[1] - least[1]) || 1;
    return raw.map((value, k) => (value - (least[k % 2] + most[k % 2]) / 2) / extent);
  };

  // A point's picture, made once a colour and form.
  const stamps = new Map();
  const stamp = (colour, square) => {
    const key = `${colour} ${square} ${size.ratio}`;
    if (!stamps.has(key)) {
      const one = element("canvas", { width: 8 * size.ratio, height: 8 * size.ratio }), pen = one.getContext("2d");
      pen.scale(size.ratio, size.ratio);
      pen.fillStyle = colour;
      if (square) pen.fillRect(1.2, 1.2, 5.6, 5.6);
      else (pen.beginPath(), pen.arc(4, 4, 3.2, 0, 7), pen.fill());
      stamps.set(key, one);
    }
    return stamps.get(key);
  };
  const ramp = (value) => RAMP[Math.max(0, Math.min(RAMP.length - 1, Math.floor(value * RAMP.length)))];
  const colourOf = (i) => {
    if (by === "domain") return data.head.domains[data.domain[i]].colour;
    if (by === "class") return data.head.hues[data.label[i]];
    if (!shade || Number.isNaN(shade[i])) return NONE;
    if (by === "first answer") return shade[i] ? VERDICT.right : VERDICT.wrong;
    return ramp(by === "average precision" ? shade[i] / 100 : shade[i]);
  };

  const draw = () => {
    if (!flat || !size.w) return;
    const pen = canvas.getContext("2d"), n = data.domain.length;
    pen.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
    pen.clearRect(0, 0, size.w, size.h);
    let outside = 0;
    for (let step = 0; step < n; step++) {
      const i = (step * 7919) % n; // a prime's strides: in mixed order, so that no domain hides the other
      const [x, y] = spot(i);
      if (x < -4 || y < -4 || x > size.w + 4 || y > size.h + 4) { outside++; continue; }
      pen.globalAlpha = highlight < 0 || data.label[i] === highlight ? 0.8 : 0.1;
      pen.drawImage(stamp(colourOf(i), data.domain[i] > 0), x - 4, y - 4, 8, 8);
    }
    root.dataset.outside = outside;
    mark();
  };
  // While many points move: squares as pixels, quicker.
  const sketch = () => {
    const pen = canvas.getContext("2d"), [w, h] = [canvas.width, canvas.height], side = Math.round(2 * size.ratio);
    const image = pen.createImageData(w, h), pixels = new Uint32Array(image.data.buffer), inks = new Map();
    const ink = (hex) => {
      if (!inks.has(hex)) inks.set(hex, (0xff000000 | parseInt(hex.slice(5) + hex.slice(3, 5) + hex.slice(1, 3), 16)) >>> 0);
      return inks.get(hex);
    };
    for (let i = 0; i < data.domain.length; i++) {
      const [x, y] = spot(i).map((at) => Math.round(at * size.ratio));
      if (x < side || y < side || x >= w - side || y >= h - side) continue;
      const colour = ink(highlight < 0 || data.label[i] === highlight ? colourOf(i) : "#e6e6e6");
      for (let row = y - side; row <= y + side; row++) pixels.fill(colour, row * w + x - side, row * w + x + side + 1);
    }
    pen.putImageData(image, 0, 0);
    mark();
  };
  const ring = (pen, i, radius, width) => {
    const [x, y] = spot(i);
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.lineWidth = width;
    pen.stroke();
  };
  const mark = () => { // what follows the pointer has a canvas of its own
    const pen = over.getContext("2d");
    pen.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
    pen.clearRect(0, 0, size.w, size.h);
    pen.strokeStyle = getComputedStyle(root).color;
    for (const i of linked) {
      pen.beginPath();
      pen.moveTo(...spot(centre));
      pen.lineTo(...spot(i));
      pen.lineWidth = 1;
      pen.stroke();
      ring(pen, i, 6, 1.5);
    }
    if (centre >= 0) ring(pen, centre, 9, 3);
    if (hovered >= 0) ring(pen, hovered, 8, 2.5);
  };

  const show = (name) => {
    const goal = data.places[name], from = flat ?? goal, begin = performance.now();
    map = name;
    linked = [];
    centre = -1;
    strip.replaceChildren();
    hide();
    say(HINT);
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches || from === goal;
    const step = (time) => {
      if (map !== name) return;
      const share = still ? 1 : Math.min(1, Math.max(0, (time - begin) / 700)), eased = share * share * (3 - 2 * share);
      flat = share === 1 ? goal : from.map((value, i) => value + (goal[i] - value) * eased);
      if (share < 1) (swift(), requestAnimationFrame(step));
      else draw();
    };
    step(begin);
    paint(by);
    follow();
  };
  const paint = (value) => {
    by = value;
    shade = data.shades.get(`${map} ${by}`) ?? null;
    if (data.head.shades.includes(by) && !shade) kernel.ask({ kind: "shade", map, by });
    explain();
    draw();
  };
  const chip = (colour, words, square) => {
    const key = element("span", { textContent: `${square ? "■" : "●"} ` });
    key.style.color = colour;
    return element("span", { className: "tps-chip" }, key, element("bdi", { textContent: words }));
  };
  const explain = () => { // each colouring has its own legend
    const forms = data.head.domains.map(({ name, colour }, i) => chip(by === "domain" ? colour : "currentColor", name, i > 0));
    const counts = new Map();
    data.label.forEach((label) => counts.set(label, (counts.get(label) ?? 0) + 1));
    const labels = highlight >= 0 ? [highlight] : [...counts.keys()].sort((a, b) => a - b);
    const classes = labels.slice(0, 12).map((label) => chip(data.head.hues[label], data.head.classes[label]));
    if (labels.length > 12) classes.push(element("span", { textContent: `and ${labels.length - 12} more: hover for a name` }));
    const colours = {
      domain: [],
      class: classes,
      "first answer": [chip(VERDICT.right, "right"), chip(VERDICT.wrong, "wrong"), chip(NONE, "nothing to find")],
    }[by] ?? RAMP.map((colour, i) => chip(colour, `${20 * i}–${20 * i + 20} %`));
    legend.replaceChildren(...forms, ...colours);
  };

  const hide = () => {
    clearTimeout(timer);
    hovered = -1;
    card.style.display = "none";
  };
  const hover = (index) => {
    if (index === hovered) return;
    hide();
    hovered = index;
    mark();
    if (index >= 0) timer = setTimeout(() => (known.has(index) && pictures.get(index) ? open(index) : model.send({ kind: "hover", index })), DWELL);
  };
  const open = (index) => {
    if (index !== hovered) return;
    const row = known.get(index), [x, y] = spot(index);
    picture.src = pictures.get(index);
    picture.alt = caption.textContent = text(row);
    if (centre !== index) say(text(row));
    card.style.display = "block"; // beside the point, never over it
    card.style.left = `${x < size.w / 2 ? x + PICK : x - PICK - card.offsetWidth}px`;
    card.style.top = `${Math.max(0, Math.min(size.h - card.offsetHeight, y - card.offsetHeight / 2))}px`;
  };
  const nearest = (x, y, within, suits = () => true) => {
    let [best, least] = [-1, within * within];
    for (let i = 0; i < data.domain.length; i++) {
      const [px, py] = spot(i), [dx, dy] = [px - x, py - y], square = dx * dx + dy * dy;
      if (square <= least && suits(dx, dy, i)) [best, least] = [i, square];
    }
    return best;
  };
  const link = (index) => index >= 0 && kernel.ask({ kind: "neighbours", map, index });
  const place = (row, i) => {
    const same = row.class && row.class === data.asked.class, kind = !i || !row.class ? "" : same ? "tps-yes" : "tps-no";
    const name = row.class || `image ${row.index}`, sign = kind && (same ? "✓ " : "✗ ");
    const label = i ? `neighbour ${i}: ${name}, ${row.domain}${kind && (same ? ", same class" : ", another class")}` : `the point: ${name}, ${row.domain}`;
    return element("button", { type: "button", className: `tps-near ${kind}`, label, title: label, onclick: () => link(row.index) },
      element("img", { src: pictures.get(row.index), alt: "" }), element("bdi", { textContent: `${sign}${name}` }), element("bdi", { textContent: row.domain }));
  };

  // Zoom about a spot of the screen, and move.
  const zoom = (factor, x = size.w / 2, y = size.h / 2) => {
    const next = Math.max(0.2, Math.min(60, lens.zoom * factor)), share = 1 / (lens.zoom * size.unit) - 1 / (next * size.unit);
    lens = { zoom: next, x: lens.x + (x - size.w / 2) * share, y: lens.y - (y - size.h / 2) * share };
    moved();
  };
  const swift = () => (data.domain.length > MANY ? sketch() : draw());
  const moved = () => {
    hide();
    clearTimeout(rest);
    requestAnimationFrame(swift);
    rest = setTimeout(draw, 150);
  };
  const all = () => {
    lens = { x: 0, y: 0, zoom: 1 };
    moved();
  };
  let drag = null;
  canvas.onpointercancel = () => (drag = null);
  canvas.onpointerdown = (event) => event.button || (drag = { x: event.clientX, y: event.clientY, from: lens, far: false });
  canvas.onpointermove = (event) => {
    if (!data) return;
    if (!event.buttons) drag = null;
    if (!drag) return hover(nearest(event.offsetX, event.offsetY, PICK));
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.far && Math.hypot(dx, dy) < 4) return;
    if (!drag.far) canvas.setPointerCapture(event.pointerId);
    drag.far = true;
    lens = { ...lens, x: drag.from.x - dx / (lens.zoom * size.unit), y: drag.from.y + dy / (lens.zoom * size.unit) };
    moved();
  };
  canvas.onpointerup = (event) => {
    if (drag && !drag.far && data) link(nearest(event.offsetX, event.offsetY, PICK));
    drag = null;
  };
  canvas.onpointerleave = () => (drag?.far || (hide(), mark()));
  canvas.addEventListener("wheel", (event) => { // without Ctrl the wheel scrolls the notebook
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.onkeydown = (event) => {
    const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    const act = { "+": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: all, Enter: () => link(hovered) }[event.key];
    if (!data || event.ctrlKey || event.metaKey || !(way || act)) return;
    event.preventDefault();
    if (act) return act();
    const [x, y] = hovered < 0 ? [size.w / 2, size.h / 2] : spot(hovered);
    const ahead = (dx, dy, i) => { // within 45° of the arrow
      const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      return i !== hovered && along > 0 && aside <= along;
    };
    const next = nearest(x, y, size.w, ahead);
    if (next >= 0) hover(next);
  };

  const start = (answer, buffers) => {
    const raw = buffers.map((b) => (b.buffer ? b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) : b));
    data = { head: answer, domain: new Uint8Array(raw[0]), label: new Uint16Array(raw[1]), shades: new Map() };
    data.places = Object.fromEntries(answer.maps.map((name, i) => [name, fit(new Float32Array(raw[2 + i]))]));
    const colourings = ["domain", ...(answer.classes.length ? ["class"] : []), ...answer.shades];
    const names = element("datalist", { id: `tps-${Math.random().toString(36).slice(2)}` }, ...answer.classes.map((value) => element("option", { value })));
    const only = element("input", { type: "search", placeholder: "none", label: "highlight a class", size: 12, hidden: !answer.classes.length });
    only.setAttribute("list", names.id);
    only.onchange = () => {
      highlight = answer.classes.indexOf(only.value.trim());
      explain();
      draw();
    };
    const press = (sign, title, onclick) => element("button", { type: "button", textContent: sign, title, label: title, onclick });
    const many = data.domain.length > answer.fluid ? [element("span", { textContent: `${data.domain.length} points: moving may be slow` })] : [];
    bar.replaceChildren(choice("system", answer.maps, show).field, choice("colour by", colourings, paint).field,
      element("label", {}, "class ", only), names, press("+", "zoom in", () => zoom(1.5)), press("−", "zoom out", () => zoom(1 / 1.5)), press("all", "show all points", all), ...many);
    show(answer.maps[0]);
  };
  const receive = (answer, buffers = []) => {
    if (answer.kind === "points") data || start(answer, buffers);
    else if (answer.kind === "hover") {
      pictures.put(answer.index, buffers[0]);
      known.set(answer.index, answer);
      open(answer.index);
    } else if (answer.kind === "neighbours") {
      answer.found.forEach((row, i) => (pictures.put(row.index, buffers[i]), known.set(row.index, row)));
      const [asked, ...found] = answer.found;
      [data.asked, centre, linked] = [asked, answer.index, found.map((row) => row.index)];
      strip.replaceChildren(...answer.found.map(place));
      const same = found.filter((row) => row.class && row.class === asked.class).length;
      const across = found.filter((row) => row.domain !== asked.domain).length;
      say(`its ${found.length} nearest in the original space: ${asked.class ? `${same} of its class, ` : ""}${across} of the other domain`);
      mark();
    } else if (answer.kind === "shade") {
      const raw = buffers[0];
      data.shades.set(`${answer.map} ${answer.by}`, new Float32Array(raw.buffer ? raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength) : raw));
      say(HINT);
      if (map === answer.map && by === answer.by) paint(by);
    } else if (answer.kind === "working") (kernel.working(), say(answer.text));
    else if (answer.kind === "error") say(answer.text);
    else if (answer.kind === "done") kernel.done(answer.id);
  };
  const follow = () => { // the browser beside it has another query
    const point = model.get("point");
    if (!data || point < 0 || point === centre) return;
    [centre, linked] = [point, []];
    strip.replaceChildren();
    mark();
  };

  // It fills its cell, whatever its width.
  const measure = new ResizeObserver(() => {
    const w = Math.max(200, Math.floor(stage.clientWidth)), h = Math.min(MOST, Math.round(0.75 * w)), ratio = window.devicePixelRatio || 1;
    size = { w, h, ratio, unit: Math.min(w, h) - 2 * EDGE };
    for (const sheet of [canvas, over]) {
      Object.assign(sheet, { width: w * ratio, height: h * ratio });
      Object.assign(sheet.style, { width: `${w}px`, height: `${h}px` });
    }
    hide();
    draw();
  });
  model.on("msg:custom", receive);
  model.on("change:point", follow);
  measure.observe(stage);
  const opening = model.get("opening");
  for (const { message, buffers } of opening) receive(message, buffers);
  kernel.ask({ kind: "hello", has: opening.length > 0 });
  return () => {
    kernel.stop();
    clearTimeout(timer);
    clearTimeout(rest);
    measure.disconnect();
    model.off("msg:custom", receive);
    model.off("change:point", follow);
    pictures.clear();
  };
}

export default { render };

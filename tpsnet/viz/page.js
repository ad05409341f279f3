// Shared by the pages of RetrievalBrowser and HoverMap; Python puts it in front of theirs.

function element(tag, properties = {}, ...children) {
  const { role, label, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  if (role) node.setAttribute("role", role);
  if (label) node.setAttribute("aria-label", label);
  node.append(...children);
  return node;
}

// A choice with its name; options are values, or [value, text, explanation].
function choice(name, options, change) {
  const select = element("select", { label: name, onchange: () => change(select.value) });
  select.fill = (values) => select.replaceChildren(...values.map((value) => {
    const [key, text, title] = [value].flat();
    return element("option", { value: key, textContent: text ?? key, title: title ?? "" });
  }));
  select.fill(options);
  const field = element("label", {}, `${name} `, select);
  return { field, select };
}

// Keys and clipboard stay inside: in JupyterLab d d deletes a cell.
function fence(root) {
  root.dataset.lmSuppressShortcuts = "true";
  for (const kind of ["keydown", "keyup", "keypress", "paste", "copy", "cut"])
    root.addEventListener(kind, (event) => event.stopPropagation());
}

const PATIENCE = 2000; // ms for an answer

// Asks the kernel, one number a question. `state` is told what is known: true while it is waited for.
function asker(model, state) {
  const name = Math.random().toString(36).slice(2);
  let last = 0, timer = 0;
  const stop = () => clearTimeout(timer);
  return {
    stop,
    mine: (id) => String(id).startsWith(name),
    ask(message, buffers = []) {
      stop();
      state(true, "");
      timer = setTimeout(() => state(true, "The kernel does not answer: it is busy or gone. Below is its last answer."), PATIENCE);
      model.send({ ...message, id: `${name}:${++last}` }, undefined, buffers);
    },
    working() { // it does answer, and needs time
      stop();
    },
    done(id) {
      if (id !== `${name}:${last}`) return;
      stop();
      state(false, "");
    },
  };
}

// Images as addresses, the last used kept.
function album(size = 2000) {
  const kept = new Map();
  return {
    put(key, buffer) {
      if (!buffer || !buffer.byteLength) return kept.get(key) ?? "";
      const old = kept.get(key);
      if (old) return kept.delete(key), kept.set(key, old), old; // the last used stay longest
      const url = URL.createObjectURL(new Blob([buffer], { type: "image/webp" }));
      kept.set(key, url);
      if (kept.size > size) {
        const [first] = kept.keys();
        URL.revokeObjectURL(kept.get(first));
        kept.delete(first);
      }
      return url;
    },
    get: (key) => kept.get(key) ?? "",
    clear: () => kept.forEach((url) => URL.revokeObjectURL(url)),
  };
}

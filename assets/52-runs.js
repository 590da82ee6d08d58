// The list of runs: searched, sorted, ticked for comparison; and the picker in the header. Names are anybody's: text,
// never markup.
landscope.runs = (() => {
  const { view, find, setText, element, runRows } = landscope;
  const EVERY_MS = 3000;
  const SETTINGS = 4; // columns of settings, at most
  const BARE = { settings: {}, losses: [], verdict: null, tags: [], note: "" };
  const COLUMNS = [
    ["status", "Status"],
    ["name", "Run"],
    ["recipe", "Recipe"],
    ["step", "Step"],
    ["loss", "Loss"],
    ["finding", "What is happening"],
    ["created", "Started"],
  ];
  const DESCENDING = new Set(["created", "step"]); // what one wants to see first
  let listed = [],
    details = {},
    pickerKey = "",
    editing = null, // { id, row }
    undo = null,
    readOnly = false;
  const ticked = new Set();
  const wish = { q: "", sort: "created", down: true };

  const of = (run) => details[run.id] || BARE;
  const address = () => {
    const query = new URLSearchParams();
    if (wish.q) query.set("q", wish.q);
    if (wish.sort !== "created") query.set("sort", wish.sort);
    if (wish.down !== DESCENDING.has(wish.sort)) query.set("order", wish.down ? "down" : "up");
    const text = query.toString();
    return text ? `/?${text}` : "/";
  };
  const read = () => {
    const query = new URLSearchParams(location.search);
    wish.q = query.get("q") || "";
    wish.sort = query.get("sort") || "created";
    if (query.has("ticked")) {
      ticked.clear();
      query.get("ticked").split(",").filter(Boolean).forEach((id) => ticked.add(id));
    }
    wish.down = query.has("order") ? query.get("order") === "down" : DESCENDING.has(wish.sort);
  };
  let pending = null;
  const choose = (changes) => {
    Object.assign(wish, changes);
    clearTimeout(pending);
    pending = setTimeout(() => {
      if (view.state.page === "runs") history.replaceState(history.state, "", address());
    }, 300);
    list();
  };

  // Every word must be somewhere; lr=0.1 also among the settings.
  const haystack = (run) => {
    const { settings, tags, note, verdict } = of(run);
    const told = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const status = run.status === "running" ? "running live" : run.status;
    return [run.id, run.name, run.recipe, status, run.finding, run.error, note, verdict?.outcome, ...tags, ...told]
      .filter(Boolean)
      .join("\n")
      .toLowerCase();
  };
  const matching = () => {
    const words = wish.q.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length
      ? listed.filter((run) => {
          const text = haystack(run);
          return words.every((word) => text.includes(word));
        })
      : listed;
  };
  // The settings that all shown runs have and in which they differ; of an unlike lot there are none.
  const columnsOf = (shown) => {
    const known = shown.filter(({ id }) => details[id]).map((run) => of(run).settings);
    if (known.length < 2) return [];
    return Object.keys(known[0])
      .filter((name) => known.every((settings) => name in settings))
      .filter((name) => known.some((settings) => settings[name] !== known[0][name]))
      .sort((a, b) => a.includes(".") - b.includes("."))
      .slice(0, SETTINGS);
  };
  const valueOf = (run, key) => {
    if (key === "loss") return of(run).losses.findLast((loss) => loss !== null) ?? null;
    if (key.startsWith("=")) return of(run).settings[key.slice(1)] ?? null;
    return run[key] ?? null;
  };
  const compared = (a, b) => {
    const numbers = [Number(a), Number(b)];
    if (!numbers.some(Number.isNaN)) return numbers[0] - numbers[1];
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  // What has no value comes last, whichever way round.
  const sorted = (shown) =>
    shown
      .map((run) => [run, valueOf(run, wish.sort)])
      .sort(([, a], [, b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return (wish.down ? -1 : 1) * compared(a, b);
      })
      .map(([run]) => run);

  const header = (columns) => {
    const shown = [
      ...COLUMNS.slice(0, 5),
      ...columns.map((name) => [`=${name}`, name]),
      ...COLUMNS.slice(5),
    ];
    const cell = ([key, text]) => {
      const on = wish.sort === key,
        arrow = on ? (wish.down ? " ↓" : " ↑") : "";
      const button = element("button", { type: "button", className: "sort", text: text + arrow });
      button.dataset.sort = key;
      button.addEventListener("click", () =>
        choose({ sort: key, down: on ? !wish.down : DESCENDING.has(key) }),
      );
      const order = on ? (wish.down ? "descending" : "ascending") : "none";
      return element("th", { scope: "col", "aria-sort": order }, [button]);
    };
    const key = JSON.stringify([shown, wish.sort, wish.down]);
    const place = find("#runs-columns");
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
    const bare = () => element("td");
    place.replaceChildren(element("tr", {}, [bare(), ...shown.map(cell), bare()]));
    if (focused) place.querySelector(`[data-sort="${CSS.escape(focused)}"]`)?.focus();
  };
  const list = () => {
    const shown = sorted(matching()),
      columns = columnsOf(shown);
    find("#runs-empty").hidden = listed.length > 0;
    find("#runs-table").hidden = shown.length === 0;
    find("#runs-none").hidden = shown.length > 0 || listed.length === 0;
    [find("#runs-search"), find("#runs-compare")].forEach((place) => {
      place.hidden = listed.length === 0;
    });
    note(shown.length);
    compareButton();
    header(columns);
    const rows = shown.flatMap((run) => {
      const made = runRows.row(run, of(run), columns, ticked.has(run.id));
      return editing?.id === run.id ? [made, editing.row] : [made];
    });
    const body = find("#runs-body");
    // Rows that stay where they are keep what is focused and typed in them.
    if (rows.length === body.children.length && rows.every((row, index) => row === body.children[index])) return;
    const place = document.activeElement,
      focused = body.contains(place) ? place.getAttribute("href") || place.getAttribute("aria-label") : null;
    body.replaceChildren(...rows);
    if (focused && !body.contains(document.activeElement)) {
      const name = CSS.escape(focused);
      (body.contains(place) ? place : body.querySelector(`a[href="${name}"], [aria-label="${name}"]`))?.focus();
    }
  };
  const note = (shown) => {
    const live = listed.filter(({ status }) => status === "running").length;
    const all = `${listed.length} ${listed.length === 1 ? "run" : "runs"}, ${live} live`;
    setText(find("#runs-note"), listed.length ? (wish.q ? `${shown} of ${all}` : all) : "");
  };
  const compareButton = () => {
    const gone = [...ticked].filter((id) => !listed.some((run) => run.id === id));
    if (listed.length) gone.forEach((id) => ticked.delete(id));
    const button = find("#runs-compare"),
      fits = ticked.size >= 2 && ticked.size <= landscope.compare.MOST;
    button.disabled = !fits;
    setText(button.firstElementChild, ticked.size ? `Compare ${ticked.size}` : "Compare");
    button.title = fits ? "These runs side by side" : `Tick two to ${landscope.compare.MOST} runs`;
  };

  // What is done to a run
  const told = (text, act = null) => {
    const place = find("#runs-undo");
    place.hidden = false;
    place.replaceChildren(element("span", { text }));
    [...(act ? [["Undo", act]] : []), ["Close", async () => {}]].forEach(([label, does]) => {
      const button = element("button", { type: "button", className: "link", text: label });
      button.addEventListener("click", async () => {
        place.hidden = true;
        await does();
      });
      place.append(button);
    });
    clearTimeout(undo);
    undo = setTimeout(() => {
      place.hidden = true;
    }, 20000);
  };
  const tried = async (act, done = () => {}) => {
    try {
      await act();
      done();
    } catch (error) {
      told(error.message);
    }
    await update();
  };
  const restore = (run) => tried(() => landscope.api.restore(run.id));
  const discard = (run) =>
    tried(
      () => landscope.api.discard(run.id),
      () => told(`${run.name || run.id} is in the trash.`, () => restore(run)),
    );
  const erase = (run) => tried(() => landscope.api.erase(run.id));
  const close = () => {
    editing = null;
    list();
  };
  const annotate = (id) => {
    const run = listed.find((one) => one.id === id);
    const save = (said) => tried(() => landscope.api.annotate(id, said), close);
    const { row, focus } = runRows.form(run, of(run), 20, save, close);
    editing = editing?.id === id ? null : { id, row };
    list();
    if (editing) focus();
  };
  const tick = (id, on) => {
    if (on) ticked.add(id);
    else ticked.delete(id);
    list();
  };
  const search = (q) => {
    find("#runs-search input").value = q;
    choose({ q });
  };

  const picker = () => {
    const data = listed
      .filter(({ error }) => !error)
      .map(({ id, name, status }) => ({
        value: id,
        label: `${name || id}  ·  ${id.slice(0, 15)}${status === "running" ? "  ·  live" : ""}`,
      }));
    const chosen = landscope.run.data.id;
    const key = JSON.stringify([data, chosen]);
    if (key === pickerKey || !window.dash_clientside.set_props) return;
    pickerKey = key;
    window.dash_clientside.set_props("run-picker", { data, value: chosen });
  };
  const update = async () => {
    if (document.hidden) return;
    try {
      listed = (await landscope.api.runs()).runs;
      landscope.emit("runs", listed);
      if (view.state.run === null) landscope.emit("connection", null);
      picker();
      if (view.state.page === "runs") {
        list();
        details = await landscope.api.details();
        list();
        if (!readOnly) landscope.trash.show((await landscope.api.trash()).runs, { restore, erase });
      }
    } catch (error) {
      if (view.state.run === null) landscope.emit("connection", error);
    }
  };
  const mount = (refuses) => {
    readOnly = refuses;
    runRows.use({ readOnly, tick, search, annotate, discard });
    const input = element("input", { type: "search", className: "text", "aria-label": "Search the runs (/)" });
    input.placeholder = "search: name, recipe, lr=0.1, tag …";
    input.addEventListener("input", () => choose({ q: input.value }));
    find("#runs-search").append(input);
    find("#runs-compare").addEventListener("click", () => landscope.compare.open([...ticked]));
    route();
    setInterval(update, EVERY_MS);
  };
  const route = () => {
    if (view.state.page === "runs") {
      read();
      const input = find("#runs-search input");
      if (input) input.value = wish.q;
    }
    update();
  };
  landscope.on("route", route);
  landscope.on("run", picker);
  return { mount, all: () => listed };
})();

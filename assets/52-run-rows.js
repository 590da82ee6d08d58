// The rows of the list of runs: made once for each run, and anew only when something in them changed.
landscope.runRows = (() => {
  const { element, format } = landscope;
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 96,
    HEIGHT = 20;
  const ARMED_MS = 4000;
  const known = new Map(); // id -> { key, row }
  let actions = {}; // readOnly, tick, search, annotate, discard; see 52-runs.js

  const when = (iso) => {
    const then = new Date(iso);
    if (Number.isNaN(then.getTime())) return "";
    return format.age(Math.max((Date.now() - then.getTime()) / 1000, 0)).replace(".0 s", " s");
  };
  const pill = (status) => {
    const made = element("span", { className: "pill", text: status === "running" ? "live" : status });
    made.dataset.status = status;
    return made;
  };
  const stepsOf = ({ step, total }) =>
    total ? `${format.whole(step || 0)} / ${format.whole(total)}` : format.whole(step || 0);
  // The loss from its least to its greatest, logarithmic where it is positive; a null interrupts the line.
  const sparkline = (losses) => {
    const seen = losses.filter((loss) => loss !== null);
    if (seen.length < 2) return element("span", { text: seen.length ? format.number(seen[0]) : "" });
    const height = Math.min(...seen) > 0 ? Math.log : (loss) => loss;
    const low = height(Math.min(...seen)),
      room = height(Math.max(...seen)) - low || 1;
    const [svg, line] = ["svg", "polyline"].map((tag) => document.createElementNS(SVG, tag));
    const points = losses
      .map((loss, index) => [index, loss])
      .filter(([, loss]) => loss !== null)
      .map(([index, loss]) => {
        const x = 1 + ((WIDTH - 2) * index) / (losses.length - 1),
          y = HEIGHT - 2 - ((HEIGHT - 4) * (height(loss) - low)) / room;
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      });
    line.setAttribute("points", points.join(" "));
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("class", "sparkline");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `loss from ${format.number(seen[0])} to ${format.number(seen[seen.length - 1])}`);
    svg.append(line);
    return element("span", { className: "loss", title: svg.getAttribute("aria-label") }, [
      svg,
      element("span", { text: format.number(seen[seen.length - 1]) }),
    ]);
  };
  const iconButton = (name, label, act) => {
    const made = element("button", { type: "button", className: "button quiet", title: label });
    made.setAttribute("aria-label", label);
    made.append(element("span", { className: `icon icon-${name}`, "aria-hidden": "true" }));
    made.addEventListener("click", () => act(made));
    return made;
  };
  // A first press asks, a second one acts.
  const askingButton = (name, label, question, act) =>
    iconButton(name, label, (button) => {
      const asked = button.querySelector(".asked");
      if (asked) {
        asked.remove(); // rows are kept: one that comes back does not come back half pressed
        button.classList.remove("armed");
        act();
        return;
      }
      const text = element("span", { className: "asked", text: question });
      button.classList.add("armed");
      button.append(text);
      setTimeout(() => {
        if (!button.contains(text)) return;
        button.classList.remove("armed");
        text.remove();
      }, ARMED_MS);
    });
  const discardButton = (run) =>
    askingButton("trash", `Move ${run.name || run.id} to the trash`, "to the trash?", () => actions.discard(run));
  const nameCell = (run, { tags, note }) => {
    const path = `/run/${encodeURIComponent(run.id)}`;
    const link = element("a", { text: run.name || run.id, href: path, "data-route": path, title: run.id });
    const chips = tags.map((tag) => {
      const chip = element("button", { type: "button", className: "tag", text: tag, title: `Search for ${tag}` });
      chip.addEventListener("click", () => actions.search(tag));
      return chip;
    });
    const words = note ? [element("div", { className: "note", text: note, title: note })] : [];
    return element("div", {}, [element("span", { className: "run-name" }, [link, ...chips]), ...words]);
  };
  // What was found, or else how many of a recipe's claims were borne out; and what became of them in one word.
  const findingCell = ({ finding }, verdict) => {
    const told = verdict ? `${verdict.reproduced} of ${verdict.claims} claims reproduced` : "";
    const words = element("div", { text: finding || told, title: [finding, told].filter(Boolean).join("\n") });
    return verdict ? element("span", { className: "told" }, [words, landscope.verdict.pill(verdict.outcome)]) : words;
  };
  const tickBox = (run, ticked) => {
    const box = element("input", { type: "checkbox", "aria-label": `Compare ${run.name || run.id}` });
    box.checked = ticked;
    box.addEventListener("change", () => actions.tick(run.id, box.checked));
    return box;
  };
  const live = ({ status }) => ["running", "paused"].includes(status);
  const cells = (run, details, columns, ticked) => {
    if (run.error) {
      const words = element("span", { text: `${run.id}: ${run.error}` });
      return [["tick", ""], ["status", pill("unreadable")], ["name", words]];
    }
    const own = actions.readOnly
      ? []
      : [
          iconButton("edit", `Tags and note of ${run.name || run.id}`, () => actions.annotate(run.id)),
          ...(live(run) ? [] : [discardButton(run)]),
        ];
    return [
      ["tick", tickBox(run, ticked)],
      ["status", pill(run.status)],
      ["name", nameCell(run, details)],
      ["recipe", run.recipe || ""],
      ["step", stepsOf(run)],
      ["loss", sparkline(details.losses)],
      ...columns.map((name) => ["setting", details.settings[name] ?? "–"]),
      ["finding", findingCell(run, details.verdict)],
      ["started", when(run.created)],
      ["own", element("span", { className: "own" }, own)],
    ];
  };
  // The form for tags and note, in a row of its own below the run's.
  const form = (run, { tags, note }, count, save, cancel) => {
    const field = (label, value, attributes) => {
      const input = element("input", { type: "text", className: "text", "aria-label": label, ...attributes });
      input.value = value;
      return input;
    };
    const own = field("Tags, separated by commas", tags.join(", "), { placeholder: "tags, separated by commas" });
    const words = field("Note", note, { placeholder: "note", maxlength: "2000", className: "text note-field" });
    const button = (text, act, type = "button") => {
      const made = element("button", { type, className: "button" }, [
        element("span", { className: "button-text", text }),
      ]);
      if (act) made.addEventListener("click", act);
      return made;
    };
    const buttons = [button("Save", null, "submit"), button("Cancel", cancel)];
    const made = element("form", { className: "row" }, [own, words, ...buttons]);
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      const list = own.value.split(",").map((tag) => tag.trim());
      save({ tags: [...new Set(list.filter(Boolean))], note: words.value.trim() });
    });
    made.addEventListener("keydown", (event) => {
      if (event.key === "Escape") cancel();
    });
    const row = element("tr", { className: "annotating" }, [element("td", { colspan: String(count) }, [made])]);
    return { row, focus: () => own.focus() };
  };

  const row = (run, details, columns, ticked) => {
    const key = JSON.stringify([run, details, columns, ticked]);
    const before = known.get(run.id);
    if (before?.key === key) {
      if (!run.error) landscope.setText(before.row.querySelector(".column-started"), when(run.created));
      return before.row;
    }
    const parts = cells(run, details, columns, ticked);
    const made = element(
      "tr",
      {},
      parts.map(([name, cell], index) => {
        const span = run.error && index === parts.length - 1 ? { colspan: "20" } : {};
        return element("td", { className: `column-${name}`, ...span }, [cell]);
      }),
    );
    known.set(run.id, { key, row: made });
    return made;
  };
  const use = (given) => {
    actions = given;
  };
  return { row, form, use, when, askingButton };
})();

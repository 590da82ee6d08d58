// Of which examples a measurement is: all of the training or the held-out data, one class of either, or selected ones.
landscope.objective = (() => {
  const { run, frames, controls, format, element, setText } = landscope;
  const SHOWN = ["embedding", "embedding/umap", "examples/history"]; // frames of examples, of which some can be selected
  const CHOSEN = "chosen"; // among the data: the selected examples
  const MOST = 200; // of those at a time
  let form = null,
    known = { run: null, found: null, coming: false };

  // The newest frame of examples; null where there is none.
  const newest = () => {
    const name = SHOWN.find((one) => run.data.frames.get(one)?.seq.length);
    return name ? run.frameAt(name, Infinity) : null;
  };
  // One of these, whichever came first: all of a run show the same examples.
  const shown = () => {
    if (known.run !== run.data.id) known = { run: run.data.id, found: null, coming: false };
    const now = known,
      frame = newest();
    if (now.found || now.coming || !frame) return now.found;
    now.coming = true;
    frames
      .load(frame.seq)
      .then((found) => {
        now.found = found;
        form.changed();
      })
      .catch((error) => console.warn(`the examples of the run are not known: ${error.message}`))
      .finally(() => {
        now.coming = false;
      });
    return null;
  };
  const classes = () => [...new Set(shown()?.labels.data)].filter((label) => label >= 0).sort((a, b) => a - b);
  const selected = () => (shown() && landscope.points.selection(shown())?.positions) || [];

  // Why selected examples cannot be measured, in full and in short; null where they can.
  const against = () => {
    const count = selected().length;
    if (!newest()) return ["This run shows no examples that could be selected.", "none"];
    if (!count) return ["Select examples with the lasso in the embedding, or in the matrix of examples.", "none"];
    if (count > MOST) return [`At most ${MOST} selected examples can be measured.`, `${format.whole(count)}, too many`];
    if (shown().provenance.data) return null;
    return ["An earlier version recorded this run: which examples were shown cannot be checked.", "unchecked"];
  };
  const parts = () => {
    const [split, part = ""] = form.data.value.split("/");
    return { split, part };
  };
  const reason = () => {
    const { split, part } = parts();
    if (split === CHOSEN) return against()?.[0] || "";
    return part && !classes().length ? "No classes are known in this run." : "";
  };
  // As a command names them.
  const params = () => {
    const { split, part } = parts();
    if (split === CHOSEN)
      return { objective: shown().provenance.split, chosen: { frame: newest().seq, positions: selected() } };
    return { objective: split, ...(part ? { class: Number(form.label.value) } : {}) };
  };
  // Whether there are no more of them than a gradient was timed on.
  const fewer = () => {
    const { split, part } = parts();
    return split === CHOSEN || (Boolean(part) && controls.live());
  };

  // The rows of the form: `row` makes one, and `changed` is called when something else is chosen or known.
  const make = (row, words, changed) => {
    const data = element("select", { className: "select" }),
      label = element("select", { className: "select" });
    data.replaceChildren(
      ...["train", "test", "train/class", "test/class", CHOSEN].map((value) => element("option", { value })),
    );
    [data, label].forEach((one) => one.addEventListener("change", changed));
    const rows = [row("Data", data, words), row("Class", label, "Of those among the examples that the run shows.")];
    form = { data, label, rows, changed };
    return rows;
  };
  const name = (index, text, why) => {
    const option = form.data.options[index];
    setText(option, why ? `${text} (${why})` : text);
    option.disabled = Boolean(why);
  };
  const fill = () => {
    const labels = classes(),
      heldOut = landscope.plan.manifest()?.config?.test_examples !== 0,
      stands = against();
    name(0, "training");
    name(1, "held-out", heldOut ? "" : "none");
    name(2, "a class of training", labels.length ? "" : "none known");
    name(3, "a class of held-out", heldOut ? (labels.length ? "" : "none known") : "none");
    name(4, stands ? "selected" : `selected (${format.whole(selected().length)})`, stands?.[1]);
    form.data.options[4].title = stands?.[0] || "";
    form.rows[1].hidden = !parts().part;
    if (form.label.dataset.key === labels.join()) return;
    form.label.dataset.key = labels.join();
    const before = form.label.value;
    form.label.replaceChildren(...labels.map((label) => element("option", { value: label, text: String(label) })));
    if (labels.includes(Number(before)) && before) form.label.value = before;
  };
  return { make, fill, reason, params, fewer };
})();

// Frames of a whole run, for views that draw them over the steps: at most some hundred of them, the newest first.
landscope.history = (() => {
  const { run, view } = landscope;
  const MOST = 120;
  const ABREAST = 4; // requests at a time, so that the shown step's own are not kept waiting
  const kept = new Map(); // name -> Map of seq -> measurement
  const underway = new Map(); // name -> number of requests

  // The frames that stand for all: the first in each stretch of the step axis, and the newest. A stretch is a power of
  // two long, so that when a growing run needs longer ones, those that stay are among those that were there.
  const chosen = (name) => {
    const frames = run.data.frames.get(name);
    if (!frames) return [];
    const { step, seq } = frames,
      last = step.length - 1;
    const place = view.state.x === "log" ? (value) => Math.log2(1 + value) : (value) => value;
    const length = 2 ** Math.ceil(Math.log2(Math.max(place(step[last]), 1) / (MOST - 2)));
    const columns = [];
    let stretch = null;
    step.forEach((value, index) => {
      if (step[index + 1] === value) return; // the next is a later stage of the same
      const own = Math.floor(place(value) / length);
      if (own !== stretch || index === last) columns.push({ seq: seq[index], step: value });
      stretch = own;
    });
    return columns;
  };
  // All columns in the order of their steps, each with its measurement, or null where it is still on its way.
  const columns = (name) =>
    chosen(name).map((column) => ({ ...column, found: kept.get(name)?.get(column.seq) || null }));

  // Fetches what is missing; `ready` is called whenever one has come.
  const want = (name, ready) => {
    if (!kept.has(name)) kept.set(name, new Map());
    const held = kept.get(name),
      wished = chosen(name);
    const seqs = new Set(wished.map(({ seq }) => seq));
    [...held.keys()].filter((seq) => !seqs.has(seq)).forEach((seq) => held.delete(seq));
    const missing = wished.filter(({ seq }) => !held.has(seq)).reverse();
    const busy = underway.get(name) || new Set();
    underway.set(name, busy);
    missing
      .filter(({ seq }) => !busy.has(seq))
      .slice(0, Math.max(ABREAST - busy.size, 0))
      .forEach(({ seq }) => {
        busy.add(seq);
        landscope.frames
          .load(seq)
          .then((measurement) => {
            busy.delete(seq);
            if (kept.get(name) !== held) return; // of another run
            held.set(seq, measurement);
            ready();
            want(name, ready);
          })
          .catch((error) => {
            busy.delete(seq);
            if (error.status === 404) {
              run.forget(name, seq);
              want(name, ready);
            } else console.warn(`frame ${seq} of ${name} could not be read: ${error.message}`);
          });
      });
  };
  landscope.on("run", () => {
    kept.clear();
    underway.clear();
  });
  return { columns, want };
})();

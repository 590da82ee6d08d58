// What is known of the shown run: scalars, frames and events by step, appended to as they come.
landscope.run = (() => {
  const empty = () => ({
    id: null,
    seq: 0,
    head: null,
    scalars: new Map(),
    frames: new Map(),
    events: [],
    missing: null,
    loaded: false,
  });
  const data = empty();
  const reset = (id) => Object.assign(data, empty(), { id });

  const list = (map, name, columns) => {
    if (!map.has(name)) map.set(name, Object.fromEntries(columns.map((column) => [column, []])));
    return map.get(name);
  };
  // Append, keeping steps ascending: a resumed training may go back, and then its newer values replace the older.
  const append = (target, source, columns) => {
    const first = source.step[0],
      held = target.step;
    if (held.length && first < held[held.length - 1]) {
      const keep = landscope.lastAtOrBelow(held, first - 1) + 1;
      columns.forEach((column) => {
        target[column].length = keep;
      });
    }
    columns.forEach((column) => source[column].forEach((value) => target[column].push(value)));
  };
  // Takes one answer of `since`; returns the names that changed.
  const take = (increment) => {
    const changed = new Set();
    Object.entries(increment.scalars).forEach(([name, columns]) => {
      append(list(data.scalars, name, ["step", "value"]), columns, ["step", "value"]);
      changed.add(name);
    });
    Object.entries(increment.frames).forEach(([name, columns]) => {
      append(list(data.frames, name, ["seq", "step", "lo", "hi"]), columns, ["seq", "step", "lo", "hi"]);
      changed.add(name);
    });
    if (increment.events.length) {
      data.events.push(...increment.events);
      changed.add("events");
    }
    data.seq = increment.seq;
    return changed;
  };
  const lastStep = () => {
    let last = data.head ? 0 : -1;
    data.scalars.forEach(({ step }) => {
      if (step.length) last = Math.max(last, step[step.length - 1]);
    });
    data.frames.forEach(({ step }) => {
      if (step.length) last = Math.max(last, step[step.length - 1]);
    });
    return Math.max(last, 0);
  };
  const shownStep = () => {
    const chosen = landscope.view.state.step,
      last = lastStep();
    return chosen === null ? last : Math.min(chosen, last);
  };
  const valueAt = (name, step) => {
    const line = data.scalars.get(name);
    if (!line) return undefined;
    const index = landscope.lastAtOrBelow(line.step, step);
    return index < 0 ? undefined : line.value[index];
  };
  const frameAt = (name, step) => {
    const frames = data.frames.get(name);
    if (!frames) return null;
    const index = landscope.lastAtOrBelow(frames.step, step);
    return index < 0 ? null : { seq: frames.seq[index], step: frames.step[index], index };
  };
  // A frame that is no longer kept is not shown: the one before it is.
  const forget = (name, seq) => {
    const frames = data.frames.get(name),
      index = frames ? frames.seq.indexOf(seq) : -1;
    if (index >= 0) Object.values(frames).forEach((column) => column.splice(index, 1));
  };
  // Least and greatest height over all frames of a name, so that scales hold still; null where there is none.
  const spanOf = (name) => {
    const frames = data.frames.get(name);
    if (!frames) return null;
    let lo = Infinity,
      hi = -Infinity;
    frames.lo.forEach((value) => {
      if (value !== null && value < lo) lo = value;
    });
    frames.hi.forEach((value) => {
      if (value !== null && value > hi) hi = value;
    });
    return lo <= hi ? { lo, hi } : null;
  };
  // Least and greatest value of some lines over the whole run; null where there is none.
  const rangeOf = (names) => {
    let lo = Infinity,
      hi = -Infinity;
    names.forEach((name) =>
      data.scalars.get(name)?.value.forEach((value) => {
        if (!Number.isFinite(value)) return;
        lo = Math.min(lo, value);
        hi = Math.max(hi, value);
      }),
    );
    return lo <= hi ? { lo, hi } : null;
  };
  // Steps at which something was measured as a frame, ascending: the stops of stepping back and on.
  const stops = () => {
    const steps = new Set();
    data.frames.forEach(({ step }) => step.forEach((value) => steps.add(value)));
    if (steps.size < 2) data.scalars.forEach(({ step }) => step.forEach((value) => steps.add(value)));
    return [...steps].sort((a, b) => a - b);
  };
  const newestEvent = (kind, step) => {
    for (let index = data.events.length - 1; index >= 0; index -= 1) {
      const event = data.events[index];
      if (event.kind === kind && event.step <= step) return event;
    }
    return null;
  };
  return { data, reset, take, forget, lastStep, shownStep, valueAt, frameAt, spanOf, rangeOf, stops, newestEvent };
})();

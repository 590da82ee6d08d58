// When panels are drawn: only when something changed, at most five times a second and half of the time, never while one
// is being dragged.
landscope.painter = (() => {
  const GAP_MS = 200; // from the beginning of one drawing to that of the next
  const WHEEL_MS = 400;
  const jobs = new Map(); // panel -> { draw, dirty, last, held }
  let busy = false,
    timer = null;

  const add = (name, graph, draw) => {
    const job = { draw, dirty: false, last: 0, held: 0 };
    jobs.set(name, job);
    // A redraw would end a drag on the graph, so it waits until the pointer is up, wherever that happens.
    graph.addEventListener(
      "pointerdown",
      () => {
        job.held = Infinity;
      },
      true,
    );
    graph.addEventListener(
      "wheel",
      () => {
        if (job.held !== Infinity) job.held = performance.now() + WHEEL_MS;
      },
      { capture: true, passive: true },
    );
  };
  const remove = (name) => jobs.delete(name);
  const release = () => {
    // Plotly ends its drag in a handler of its own, on the same event.
    setTimeout(() => {
      jobs.forEach((job) => {
        if (job.held === Infinity) job.held = 0;
      });
      wake();
    }, 0);
  };
  ["pointerup", "pointercancel", "blur"].forEach((event) => window.addEventListener(event, release, true));

  const due = (job) => Math.max(job.last + GAP_MS, job.held);
  const wake = () => {
    if (busy || timer !== null) return;
    const next = Math.min(...[...jobs.values()].filter((job) => job.dirty).map(due));
    if (next === Infinity) return;
    timer = setTimeout(
      () => {
        timer = null;
        requestAnimationFrame(turn);
      },
      Math.max(0, next - performance.now()),
    );
  };
  // One panel per animation frame, the one that has waited longest first.
  const turn = async () => {
    const now = performance.now();
    const ready = [...jobs].filter(([, job]) => job.dirty && due(job) <= now).sort(([, a], [, b]) => a.last - b.last);
    if (ready.length) {
      const [name, job] = ready[0];
      busy = true;
      job.dirty = false;
      try {
        await job.draw();
      } catch (error) {
        console.error(`panel ${name} could not be drawn`, error);
      }
      const ended = performance.now();
      job.last = Math.max(now, 2 * ended - now - GAP_MS); // what takes long rests as long
      busy = false;
    }
    wake();
  };
  // What somebody has just chosen is drawn at once; what is only newer may wait.
  const invalidate = (name, chosen = false) => {
    const job = jobs.get(name);
    if (job) Object.assign(job, { dirty: true }, chosen ? { last: 0 } : {});
    if (chosen && timer !== null) {
      clearTimeout(timer);
      timer = null;
    }
    wake();
  };
  return { add, remove, invalidate, names: () => [...jobs.keys()], held: (name) => jobs.get(name).held === Infinity };
})();

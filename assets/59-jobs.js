// What was asked to be measured: its place in the queue, how far it is, and where its picture opens.
landscope.jobs = (() => {
  const { run, view, controls, find, setText, element, format } = landscope;
  const OVER = ["done", "failed", "cancelled"];
  const expected = new Map(); // job -> the ticket, until the first word of it
  const cancelling = new Set();
  const rows = new Map();
  let shown = null; // the run that the rows are of

  // All jobs as { job, what, state, ... }, in the order in which they were asked for.
  const all = () => {
    const known = [...controls.state.jobs.values()].map(({ data, text, step }) => ({ ...data, text, at: step }));
    const silent = [...expected.values()]
      .filter((ticket) => ticket.run === run.data.id && !controls.state.jobs.has(ticket.seq))
      .map(({ seq, params }) => ({ job: seq, what: params.what, state: "queued", text: "" }));
    return [...known, ...silent].sort((a, b) => a.job - b.job);
  };
  const over = ({ state }) => OVER.includes(state);
  const active = () => all().some((job) => !over(job));
  const frameOf = ({ job, what, frame }) => frame || `lab/${job}/${what}`;
  const pictured = (job) => (run.data.frames.get(frameOf(job))?.seq.length || 0) > 0;

  const stop = (job) => {
    cancelling.add(`${run.data.id}/${job}`);
    controls.send("cancel", { job });
    show();
  };
  const make = (job) => {
    const name = element("span", { className: "job-name", text: `${job.what} · ${job.job}` }),
      state = element("span", { className: "job-state" }),
      bar = element("progress", { max: "1", "aria-label": `Progress of ${job.what}` }),
      note = element("p", { className: "words" });
    const open = element("button", { type: "button", className: "button", text: "Open" }),
      cancel = element("button", { type: "button", className: "button", text: "Cancel" });
    open.setAttribute("aria-label", `Open the picture of job ${job.job}`);
    cancel.setAttribute("aria-label", `Cancel job ${job.job}`);
    open.addEventListener("click", () => view.set({ job: String(job.job) }));
    cancel.addEventListener("click", () => stop(job.job));
    const item = element("li", { className: "job" }, [
      element("div", { className: "job-head" }, [name, state, open, cancel]),
      bar,
      note,
    ]);
    return { item, state, bar, note, open, cancel };
  };
  const stateWords = (job) => {
    if (over(job)) return job.state;
    if (cancelling.has(`${run.data.id}/${job.job}`)) return "being cancelled";
    if (job.state !== "running") return job.state;
    const left = Number.isFinite(job.seconds_left) ? `${format.seconds(job.seconds_left)} left` : "running";
    return Number.isFinite(job.done) ? `${format.share(job.done)} · ${left}` : left;
  };
  const show = () => {
    if (view.state.run === null || !landscope.dock.isOpen("lab")) return;
    const list = find("[data-jobs]"),
      jobs = all();
    if (shown !== run.data.id) {
      shown = run.data.id;
      rows.clear();
      list.replaceChildren();
    }
    find('#dock [data-words="jobs"]').hidden = jobs.length > 0;
    jobs.forEach((job) => {
      if (!rows.has(job.job)) {
        rows.set(job.job, make(job));
        list.prepend(rows.get(job.job).item); // the newest first
      }
      const { item, state, bar, note, open, cancel } = rows.get(job.job);
      item.dataset.state = job.state;
      setText(state, stateWords(job));
      bar.hidden = over(job);
      if (Number.isFinite(job.done)) bar.value = job.done;
      else bar.removeAttribute("value");
      const dead = !over(job) && !controls.live() && typeof run.data.head?.worker !== "string";
      const done = [job.examples, job.remark].filter(Boolean).join(" · ") || landscope.lab.title(job.what);
      const about = job.state === "failed" ? job.text : done;
      setText(note, dead ? "The training ended before it was done." : about);
      open.hidden = !pictured(job);
      open.classList.toggle("on", view.state.job === String(job.job));
      cancel.hidden = over(job) || dead;
      cancel.disabled = cancelling.has(`${run.data.id}/${job.job}`);
    });
  };
  const expect = (ticket) => {
    expected.set(ticket.seq, ticket);
    show();
  };
  ["data", "head", "controls", "run", "route"].forEach((event) => landscope.on(event, show));
  landscope.on("view", (changed) => {
    if (["dock", "job"].some((key) => changed.has(key))) show();
  });
  return { expect, all, active, over, stateWords, cancel: stop, frameOf };
})();

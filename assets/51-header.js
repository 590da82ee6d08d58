// Status, staleness, the line that says what is happening, and trouble with the server.
landscope.header = (() => {
  const { view, run, find, setText } = landscope;
  const WORDS = {
    running: "live",
    paused: "paused",
    finished: "finished",
    stopped: "stopped",
    failed: "failed",
    crashed: "crashed",
  };
  const active = () => Boolean(run.data.head) && ["running", "paused"].includes(run.data.head.status);
  let connection = null;

  const status = () => {
    const pill = find("#status"),
      { head } = run.data;
    const name = head ? WORDS[head.status] || head.status : "";
    const lost = connection !== null && connection.status !== 404;
    setText(pill, lost && active() ? "no contact" : name);
    pill.dataset.status = lost && active() ? "lost" : head ? head.status : "";
    pill.hidden = !name;
  };
  const staleness = () => {
    const { head } = run.data;
    if (!head || view.state.run === null) {
      setText(find("#staleness"), "");
      return;
    }
    const { whole, age } = landscope.format;
    const old = (head.age || 0) + landscope.live.sinceHeard();
    const place = find("#staleness");
    const overhead = run.valueAt("overhead/share", run.lastStep());
    const cost = Number.isFinite(overhead)
      ? ` · measuring takes ${landscope.format.share(overhead)} of training time`
      : "";
    setText(place, `step ${whole(head.step)}${active() ? ` · ${age(old)}` : ""}${cost}`);
    place.title = place.textContent;
    place.classList.toggle("stale", active() && head.status === "running" && old > 10);
  };
  const finding = () => {
    const { data } = run,
      step = run.shownStep(),
      place = find("#finding");
    const study = Boolean(landscope.plan.manifest()?.panels?.study);
    const event = run.newestEvent(study ? "message" : "finding", step);
    if (event) {
      setText(place, event.text);
      place.title = `found at step ${landscope.format.whole(event.step)}`;
      return;
    }
    place.title = "";
    if (study && data.loaded) setText(place, "Many models are trained, and compared as they learn.");
    else if (data.missing) setText(place, data.missing);
    else if (!data.loaded) setText(place, "Loading the run.");
    else if (!data.seq) setText(place, "The training has started; its first measurements are on their way.");
    else setText(place, "Nothing remarkable so far.");
  };
  const bannerText = () => {
    if (connection && connection.status === 0) {
      const last = landscope.format.whole(run.lastStep());
      return run.data.loaded
        ? `The server does not answer. Showing what was known up to step ${last}; trying again.`
        : "The server does not answer; trying again.";
    }
    if (connection && connection.status !== 404)
      return `The server could not answer (${connection.status}): ${connection.message}`;
    if (run.data.head && run.data.head.status === "crashed")
      return "The training ended without saying so: its process is gone, or does not write any more.";
    return "";
  };
  const banner = () => {
    const place = find("#banner"),
      text = view.state.run === null && !connection ? "" : bannerText();
    place.hidden = !text;
    setText(place, text);
  };
  const show = () => {
    status();
    staleness();
    finding();
    banner();
  };

  landscope.on("head", () => {
    status();
    staleness();
  });
  landscope.on("connection", (error) => {
    connection = error;
    if (error && error.status === 404 && !run.data.missing) {
      run.data.missing =
        view.state.run === "latest"
          ? "There is no run here yet. The first one is shown as soon as it has started."
          : `There is no run called ${view.state.run} here.`;
      landscope.emit("data", new Set());
    }
    show();
  });
  ["data", "plan"].forEach((event) => landscope.on(event, show));
  landscope.on("view", (changed) => {
    if (changed.has("step")) finding();
  });
  landscope.on("run", () => {
    connection = null;
    show();
  });
  const mount = () => {
    setInterval(staleness, 200);
    show();
  };
  return { mount };
})();

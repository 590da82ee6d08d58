// States of the training that began and ended, with the rule that found each and links to what it was read from.
landscope.findings = (() => {
  const { view, run, find, element, setText, format } = landscope;
  const WIDTH = 460; // pixels, of the open list
  let list = null,
    read = { run: null, events: 0 },
    known = [];

  // Every beginning with its end, oldest first; `until` is null while it lasts.
  const states = () => {
    const { id, events } = run.data;
    if (read.run === id && read.events === events.length) return known;
    read = { run: id, events: events.length };
    known = [];
    events.forEach(({ kind, step, text, data }) => {
      if (kind !== "phase" || !data) return;
      if (data.begins) known.push({ text, since: step, until: null, ...data });
      else {
        const begun = known.findLast((state) => state.kind === data.kind && state.until === null);
        if (begun) Object.assign(begun, { until: step, text });
      }
    });
    return known;
  };

  // Where a series is drawn: the first view with a line of it, or else one of the measurement that it is of.
  const placeOf = (series) => {
    const drawn = ({ name }) => name === series || (name.endsWith("*") && series.startsWith(name.slice(0, -1)));
    const tests = [
      ({ series: lines }) => lines.some(drawn),
      ({ frames, probes }) => [...frames, ...probes].some((frame) => series.startsWith(`${frame}/`)),
    ];
    for (const test of tests)
      for (const { panel } of landscope.panels.all.values()) {
        const found = panel.views.find(test);
        if (found) return { panel, view: found };
      }
    return null;
  };
  const go = (state, place) => {
    list.hidePopover();
    const several = place && place.panel.views.length > 1;
    view.set({ step: Math.min(state.since, run.lastStep()), ...(several ? { [place.panel.name]: place.view.name } : {}) });
    const panel = place && find(`#panel-${place.panel.name}`);
    if (!panel) return;
    panel.classList.add("shown-evidence");
    setTimeout(() => panel.classList.remove("shown-evidence"), 2500);
  };
  const evidence = (state) =>
    (state.evidence || []).map((series) => {
      const place = placeOf(series);
      const title = place ? `${find(`#title-${place.panel.name}`).textContent}: ${place.view.label}` : "";
      const link = element("button", { type: "button", className: "link", text: series });
      link.title = place ? `Show in “${title}” at step ${format.whole(state.since)}` : `Go to step ${format.whole(state.since)}`;
      link.addEventListener("click", () => go(state, place));
      return link;
    });

  const part = (title, text) => (text ? [element("dt", { text: title }), element("dd", { text })] : []);
  const body = (state) => {
    const sources = (state.sources || []).map((text) => element("li", { text }));
    return element("div", { className: "state-body" }, [
      element("p", { text: state.text }),
      element("dl", {}, [
        ...part("How it is told", state.criterion),
        ...part("What it means", state.meaning),
        ...part("What it does not mean", state.caution),
        element("dt", { text: "Evidence" }),
        element("dd", { className: "evidence" }, evidence(state)),
      ]),
      ...(sources.length ? [element("ul", { className: "sources" }, sources)] : []),
    ]);
  };
  const lasted = ({ since, until }) =>
    until === null ? `since step ${format.whole(since)}` : `steps ${format.whole(since)} to ${format.whole(until)}`;
  const titleOf = (state) => state.title || state.kind.replaceAll("-", " ");
  const entry = (state) => {
    const summary = element("summary", {}, [
      element("span", { className: "state-title", text: titleOf(state) }),
      element("span", { className: "state-when", text: lasted(state) }),
    ]);
    return element("details", { className: state.until === null ? "state" : "state ended", name: "state" }, [
      summary,
      body(state),
    ]);
  };

  const open = (index, anchor) => {
    const all = states();
    if (!all.length || !list) return;
    const shown = all.map((state, at) => ({ state, at })).reverse(); // the newest first
    list.replaceChildren(element("h3", { text: "What was found" }), ...shown.map(({ state }) => entry(state)));
    const at = shown.findIndex((one) => one.at === index);
    const chosen = list.querySelectorAll("details")[Math.max(at, 0)];
    chosen.open = true;
    place(anchor.getBoundingClientRect());
    if (!list.matches(":popover-open")) list.showPopover();
    chosen.querySelector("summary").focus();
    chosen.scrollIntoView({ block: "nearest" });
  };
  const place = ({ left, top, bottom }) => {
    const above = top > window.innerHeight / 2;
    list.style.left = `${Math.max(Math.min(left, window.innerWidth - WIDTH - 8), 8)}px`;
    list.style.top = above ? "auto" : `${bottom + 4}px`;
    list.style.bottom = above ? `${window.innerHeight - top + 8}px` : "auto";
    list.style.width = `min(${WIDTH}px, 96vw)`;
  };
  const show = () => {
    const button = find("#findings-open");
    if (!button) return;
    const count = states().length;
    button.hidden = !count;
    setText(button, count === 1 ? "1 finding" : `${count} findings`);
  };
  const mount = () => {
    list = element("div", { id: "findings", className: "checks findings", popover: "auto", role: "dialog" });
    list.setAttribute("aria-label", "What was found");
    document.body.append(list);
    const newest = () => states().length - 1;
    find("#findings-open").addEventListener("click", (event) => open(newest(), event.currentTarget));
    find("#finding").addEventListener("click", (event) => open(newest(), event.currentTarget));
    show();
  };
  landscope.on("data", (changed) => {
    if (changed.has("events") || changed.has("loaded")) show();
  });
  landscope.on("run", () => {
    if (list?.matches(":popover-open")) list.hidePopover();
    show();
  });
  return { mount, open, states, titleOf, lasted };
})();

// A recipe's lesson: a card that tells one stop after the other, moves the time bar and points at a panel.
landscope.lessons = (() => {
  const { view, run, find, element, setText, format } = landscope;
  let lessons = {}, // recipe -> stops
    pointed = null;

  const stops = () => lessons[landscope.plan.manifest()?.recipe] || [];
  const number = () => Math.min(Number(view.state.lesson || 0), stops().length); // from 1; 0 while it is closed
  // The step of a stop; null where what it tells of has not happened in this run.
  const stepOf = ({ at }) => {
    if (typeof at === "number") return Math.round(at * Math.max(run.data.head?.total || 0, run.lastStep()));
    const state = landscope.findings.states().find(({ kind }) => kind === at);
    return state ? state.since : null;
  };
  const sectionOf = ({ panel }) =>
    panel ? find(panel.startsWith("exhibit/") ? `#exhibit-${panel.slice(8)}` : `#panel-${panel}`) : null;
  const point = (section) => {
    if (pointed === section) return;
    pointed?.classList.remove("pointed");
    pointed = section;
    pointed?.classList.add("pointed");
    pointed?.scrollIntoView({ block: "nearest" });
    stepAside();
  };
  // The card lies on the right, or on the left where what it points at is on the right.
  const stepAside = () => {
    const card = find("#lesson");
    card.classList.remove("aside");
    if (!pointed) return;
    const lies = card.getBoundingClientRect(),
      below = pointed.getBoundingClientRect();
    card.classList.toggle("aside", lies.left < below.right && lies.top < below.bottom && below.left > lies.width);
  };

  const go = (to) => {
    const all = stops();
    if (to < 1 || to > all.length) {
      view.set({ lesson: "" });
      return;
    }
    const stop = all[to - 1],
      step = stepOf(stop);
    const reached = step !== null && step <= run.lastStep();
    view.set({
      lesson: String(to),
      ...(reached ? { step } : {}),
      ...(stop.view && landscope.panels.all.has(stop.panel) ? { [stop.panel]: stop.view } : {}),
    });
  };
  const missing = (stop) => {
    const step = stepOf(stop);
    if (step === null) return "This has not happened in this run so far.";
    return step > run.lastStep() ? `This comes at step ${format.whole(step)}, which is not reached yet.` : "";
  };
  const show = () => {
    const card = find("#lesson"),
      open = find("#lesson-open");
    if (!card) return;
    const all = stops(),
      at = view.state.run === null ? 0 : number();
    open.hidden = !all.length || at > 0;
    card.hidden = at === 0;
    if (!at) {
      point(null);
      return;
    }
    const stop = all[at - 1];
    setText(find("#lesson-title"), stop.title);
    setText(find("#lesson-text"), stop.text);
    setText(find("#lesson-place"), `${at} of ${all.length}`);
    setText(find("#lesson-note"), missing(stop));
    find('[data-action="lesson-back"]').disabled = at === 1;
    setText(find('[data-action="lesson-next"] .button-text'), at === all.length ? "End" : "Next");
    point(sectionOf(stop));
  };
  const mount = (known) => {
    lessons = known;
    show();
  };
  ["data", "plan", "run", "route"].forEach((event) => landscope.on(event, show));
  landscope.on("view", (changed) => {
    if (changed.has("lesson")) show();
  });
  return { mount, open: () => go(1), next: () => go(number() + 1), back: () => go(number() - 1), close: () => go(0) };
})();

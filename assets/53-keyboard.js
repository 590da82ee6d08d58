// Keys, and the buttons that do the same.
landscope.keyboard = (() => {
  const { view, timebar } = landscope;
  const other = (key) => view.choices[key].find((value) => value !== view.state[key]);
  const ACTIONS = {
    play: timebar.play,
    speed: timebar.cycle,
    follow: timebar.follow,
    back: () => timebar.move(-1),
    forward: () => timebar.move(1),
    pause: () => landscope.steering.pause(),
    step: () => landscope.steering.step(),
    stop: () => landscope.steering.stop(),
    snapshot: () => landscope.steering.snapshot(),
    rewind: () => landscope.steering.rewind(),
    branch: () => landscope.steering.branch(),
    control: () => landscope.dock.toggle("control"),
    lab: () => landscope.dock.toggle("lab"),
    measure: () => landscope.lab.measure(),
    "measure-plane": () => landscope.asked.measure(),
    demand: (button) => landscope.lab.open(button.dataset.measure),
    start: (button) => landscope.recipes.start(button),
    lesson: () => landscope.lessons.open(),
    "lesson-next": () => landscope.lessons.next(),
    "lesson-back": () => landscope.lessons.back(),
    "lesson-close": () => landscope.lessons.close(),
    layout: (button) => landscope.layout.open(button),
    "pin-a": () => landscope.timebar.pin("a"),
    "pin-b": () => landscope.timebar.pin("b"),
    unresult: () => landscope.result.close(),
    enlarge: (button) => landscope.enlarge.toggle(button.closest(".panel")),
    export: (button) => landscope.exporting.open(button),
    report: (button) => landscope.exporting.report(button),
    undock: () => landscope.dock.close(),
    theme: landscope.theme.toggle,
    about: (button) => landscope.about.ask(button),
    lasso: () => landscope.points.toggle(),
    copy: (button) => landscope.about.copy(button),
    "cross-check": () => landscope.crosscheck.ask(),
  };
  const help = () => landscope.find("[data-help]").click();
  const toggle = (key) => () => view.set({ [key]: other(key) });
  const KEYS = {
    " ": timebar.play,
    "[": () => timebar.hasten(-1),
    "]": () => timebar.hasten(1),
    f: timebar.follow,
    l: toggle("x"),
    s: toggle("style"),
    p: landscope.planes.next,
    v: landscope.planes.another,
    a: () => timebar.pin("a"),
    b: () => timebar.pin("b"),
    n: () => landscope.lessons.next(),
    c: () => landscope.dock.toggle("control"),
    m: () => landscope.dock.toggle("lab"),
    Escape: () => {
      landscope.result.close();
      landscope.enlarge.close();
    },
    ".": () => landscope.steering.step(),
    ArrowLeft: (event) => timebar.move(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => timebar.move(event.shiftKey ? 10 : 1),
    Home: () => timebar.choose(0),
    End: () => timebar.choose(landscope.run.lastStep()),
  };
  const typing = (target) =>
    target.closest?.("input:not([type=radio]), textarea, select, [contenteditable=true], [role=dialog]");

  const mount = () => {
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-action]");
      if (button) ACTIONS[button.dataset.action]?.(button);
      // After a click with the mouse the keys belong to the page again, not to what was clicked.
      if (event.detail && event.target.closest?.("[data-action], .choice"))
        setTimeout(() => document.activeElement?.blur?.(), 0);
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (name === "d") {
        landscope.theme.toggle();
        return;
      }
      if (name === "?") {
        help();
        return;
      }
      if (name === "/" && view.state.page === "runs") {
        event.preventDefault();
        landscope.find("#runs-search input").focus();
        return;
      }
      if (view.state.run === null || !KEYS[name]) return;
      // Space presses a focused button, and arrows move within a focused choice: those keep their own meaning.
      if (name === " " && event.target.closest?.("button, a, label")) return;
      if (name.startsWith("Arrow") && event.target.closest?.("[role=radiogroup]")) return;
      if (name !== "Escape") event.preventDefault(); // the browser closes its popovers by it
      KEYS[name](event);
    });
  };
  return { mount };
})();

// The bar at the bottom: drag, play, step, follow. Its track has the panels' step axis, linear or logarithmic.
landscope.timebar = (() => {
  const { view, run, find, setText, element } = landscope;
  const PLAY_S = 24; // the whole history in this time at speed 1, whatever its length
  const SPEEDS = view.choices.speed.map(Number).sort((slow, fast) => slow - fast);
  let playing = false,
    playedAt = 0,
    position = 0;

  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const logarithmic = () => view.state.x === "log";
  const toShare = (step) => {
    const last = Math.max(run.lastStep(), 1);
    return Math.min(1, logarithmic() ? Math.log1p(step) / Math.log1p(last) : step / last);
  };
  const toStep = (share) => {
    const last = run.lastStep(),
      inside = Math.min(Math.max(share, 0), 1);
    return Math.round(logarithmic() ? Math.expm1(inside * Math.log1p(last)) : inside * last);
  };

  const choose = (step) => {
    stop();
    view.set({ step: Math.min(Math.max(Math.round(step), 0), run.lastStep()) });
  };
  const follow = () => {
    stop();
    view.set({ step: view.following() ? run.lastStep() : null });
  };
  const move = (count) => {
    const stops = run.stops(),
      now = run.shownStep();
    if (!stops.length) return;
    const at = landscope.lastAtOrBelow(stops, now);
    const exact = at >= 0 && stops[at] === now;
    const next = count > 0 ? at + count : exact ? at + count : at + count + 1;
    choose(stops[Math.min(Math.max(next, 0), stops.length - 1)]);
  };

  // Pins the shown step under a letter; then the letter leads back there, and there it takes the pin out again.
  const pin = (letter) => {
    const step = run.shownStep(),
      pinned = view.state[letter];
    if (pinned === "") view.set({ [letter]: String(step) });
    else if (Number(pinned) === step) view.set({ [letter]: "" });
    else choose(Number(pinned));
  };
  const pins = () => {
    ["a", "b"].forEach((letter) => {
      const pinned = view.state[letter],
        name = letter.toUpperCase();
      const mark = find(`.pin[data-pin="${letter}"]`),
        button = find(`[data-action="pin-${letter}"]`);
      mark.hidden = pinned === "";
      if (pinned !== "") placed(mark, Number(pinned));
      const here = pinned !== "" && Number(pinned) === run.shownStep();
      const words =
        pinned === ""
          ? `Pin this step as ${name}`
          : here
            ? `Take pin ${name} out`
            : `Go to pin ${name}, step ${landscope.format.whole(Number(pinned))}`;
      button.title = `${words} (${name})`;
      button.setAttribute("aria-label", words);
      button.classList.toggle("on", here);
      button.classList.toggle("set", pinned !== "");
    });
  };

  const stop = () => {
    if (playing) {
      playing = false;
      showPlaying();
    }
  };
  const play = () => {
    if (playing) {
      stop();
      return;
    }
    if (!run.stops().length) return;
    playing = true;
    position = toShare(run.shownStep());
    if (position >= 0.999) position = 0;
    playedAt = performance.now();
    showPlaying();
    requestAnimationFrame(advance);
  };
  const advance = (now) => {
    if (!playing) return;
    position += ((now - playedAt) / 1000 / PLAY_S) * Number(view.state.speed);
    playedAt = now;
    if (position >= 1) {
      stop();
      view.set({ step: run.data.head && run.data.head.status === "running" ? null : run.lastStep() });
      return;
    }
    view.set({ step: toStep(position) });
    requestAnimationFrame(advance);
  };
  // Faster or slower by one; the button goes on from the fastest to the slowest.
  const hasten = (by) => {
    const at = SPEEDS.indexOf(Number(view.state.speed)) + by;
    view.set({ speed: String(SPEEDS[Math.min(Math.max(at, 0), SPEEDS.length - 1)]) });
  };
  const cycle = () => hasten(Number(view.state.speed) === SPEEDS.at(-1) ? 1 - SPEEDS.length : 1);
  const showSpeed = () => {
    const button = find('[data-action="speed"]'),
      words = `${view.state.speed.replace("0.", ".")}×`;
    setText(button, words);
    button.setAttribute("aria-label", `Speed of playing: ${words}`);
  };
  const showPlaying = () => {
    const button = find('[data-action="play"]');
    button.classList.toggle("playing", playing);
    button.setAttribute("aria-label", playing ? "Pause the history" : "Play");
    button.title = `${playing ? "Pause the history" : "Play"} (space)`;
  };

  const show = () => {
    const track = find("#track");
    if (!track) return;
    const step = run.shownStep(),
      last = run.lastStep(),
      { whole } = landscope.format;
    track.style.setProperty("--place", String(toShare(step)));
    track.setAttribute("aria-valuemax", String(last));
    track.setAttribute("aria-valuenow", String(step));
    track.setAttribute("aria-valuetext", `step ${whole(step)} of ${whole(last)}`);
    const total = run.data.head && run.data.head.total;
    setText(find("#shown-step"), `step ${whole(step)} / ${whole(total || last)}`);
    pins();
    showSpeed();
    const button = find('[data-action="follow"]');
    button.classList.toggle("on", view.following());
    button.setAttribute("aria-pressed", String(view.following()));
  };
  const subject = ({ data, text }) => (data && data.kind) || text;
  const marks = () => {
    const place = find(".timebar .marks");
    if (!place) return;
    const states = landscope.findings.states();
    place.replaceChildren(
      ...(states.length ? states.map(stateMark) : headlines().map((event) => markOf(event, "mark"))),
      ...landscope.controls.state.acts.map((event) => markOf(event, "mark act-mark")),
    );
  };
  // Of a run without states, where what is said first is another; a finding whose numbers move on is still the same.
  const headlines = () =>
    run.data.events
      .filter(({ kind }) => kind === "finding")
      .filter((event, index, all) => index === 0 || subject(event) !== subject(all[index - 1]));
  const placed = (mark, step) => {
    mark.style.left = `${100 * toShare(step)}%`;
    return mark;
  };
  const markOf = (event, className) => {
    const mark = element("span", { className, title: `step ${landscope.format.whole(event.step)}: ${event.text}` });
    mark.dataset.step = String(event.step);
    return placed(mark, event.step);
  };
  const stateMark = (state, index) => {
    const { titleOf, lasted } = landscope.findings;
    const mark = element("button", { type: "button", className: state.until === null ? "mark" : "mark ended" });
    mark.title = `${lasted(state)}: ${state.text}`;
    mark.setAttribute("aria-label", `Finding: ${titleOf(state)}, ${lasted(state)}`);
    mark.dataset.state = String(index);
    return placed(mark, state.since);
  };

  const mount = () => {
    const track = find("#track");
    const at = (event) => {
      const box = track.getBoundingClientRect();
      return toStep((event.clientX - box.left) / box.width);
    };
    // Pointers may report hundreds of times a second; one choice per animation frame is enough.
    let wish = null;
    const drag = (event) => {
      if (wish === null)
        requestAnimationFrame(() => {
          const step = wish;
          wish = null;
          if (step !== null) choose(step);
        });
      wish = at(event);
    };
    track.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      track.setPointerCapture(event.pointerId);
      drag(event);
      track.addEventListener("pointermove", drag);
    });
    ["pointerup", "pointercancel"].forEach((name) =>
      track.addEventListener(name, () => track.removeEventListener("pointermove", drag)),
    );
    find(".timebar .marks").addEventListener("click", ({ target }) => {
      const mark = target.closest(".mark");
      if (!mark) return;
      if (mark.dataset.state === undefined) choose(Number(mark.dataset.step));
      else landscope.findings.open(Number(mark.dataset.state), mark);
    });
    showPlaying();
  };
  let drawnFor = "";
  const refresh = (changed) => {
    show();
    const key = `${run.lastStep()} ${view.state.x} ${run.data.id}`;
    if (key !== drawnFor || changed.has("events")) {
      drawnFor = key;
      marks();
    }
  };
  ["data", "view"].forEach((event) => landscope.on(event, refresh));
  landscope.on("run", () => {
    stop();
    drawnFor = "";
    refresh(new Set());
  });
  return { mount, choose, follow, move, play, hasten, cycle, pin, stop, still };
})();

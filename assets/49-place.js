// A place on the landscape's plane, to be measured there: which it is, what it is called, and what stands against it.
landscope.place = (() => {
  const { view, run, controls, format, find, element, setText } = landscope;
  const REBUILT = ["random", "trajectory"]; // the planes whose directions can be built again exactly
  const PARTS = 1000; // of an axis, as finely as a click means
  const DOUBLE_MS = 320; // within which a second click makes it a double one, which only ends the zoom
  let form = null,
    resting = null;

  const current = () => {
    if (!view.state.at) return null;
    const [frame, alpha, beta] = view.state.at.split(",").map(Number);
    return { frame, alpha, beta };
  };
  // The plane, the step and the name of a frame; null where the run does not have it.
  const planeOf = (frame) =>
    view.choices.plane
      .map((plane) => {
        const frames = run.data.frames.get(`slice/${plane}`),
          index = frames ? frames.seq.indexOf(frame) : -1;
        return index < 0 ? null : { plane, name: `slice/${plane}`, step: frames.step[index] };
      })
      .find(Boolean) || landscope.asked.planeOf(frame);
  const ofPlane = ({ plane, step }) => `of the ${plane} plane of step ${format.whole(step)}`;
  const words = () => {
    const { frame, alpha, beta } = current(),
      found = planeOf(frame);
    return `at alpha ${alpha}, beta ${beta}${found ? ` ${ofPlane(found)}` : ""}`;
  };
  // Whether the place is on this slice, of whatever stage.
  const isOn = (slice) => {
    const found = current() && planeOf(current().frame);
    return Boolean(found) && found.plane === slice.plane && found.step === slice.provenance.step;
  };
  // A training holds the directions of its newest planes, of whatever kind, in memory.
  const againstLive = ({ name, step }) => {
    const newest = name.startsWith("lab/") ? landscope.asked.newestFrame() : name;
    if (name === newest && run.frameAt(name, Infinity)?.step === step) return "";
    return "A training holds the directions of its newest planes alone: follow the newest step, or wait until it has ended.";
  };
  // Why a plane's places cannot be measured now; "" where they can.
  const against = (found) => {
    if (!found) return "The plane of this place is not in the run any more.";
    if (controls.live()) return againstLive(found);
    if (!REBUILT.includes(found.plane))
      return `The directions of a ${found.plane} plane are not kept, so that no place on it can be found again.`;
    if (landscope.lab.keptSteps().includes(found.step)) return "";
    return `The weights of step ${format.whole(found.step)}, around which the plane lies, were not kept.`;
  };
  const reason = () => (current() ? against(planeOf(current().frame)) : "");

  const shown = () => landscope.panels.all.get("landscape")?.shown || null;
  const set = (frame, alpha, beta) => view.set({ at: [frame, alpha, beta].join(",") });
  const remove = () => view.set({ at: "" });
  // As finely as the axis is wide; null outside of it.
  const along = ({ data }, value) => {
    const [low, high] = [data[0], data.at(-1)];
    if (!(value >= low && value <= high)) return null;
    const unit = 10 ** Math.floor(Math.log10((high - low) / PARTS));
    const parts = Math.min(Math.max(Math.round(value / unit), Math.ceil(low / unit)), Math.floor(high / unit));
    return Number((parts * unit).toPrecision(9));
  };
  // `on` is the slice that was clicked with its frame's number, null beside it.
  const clicked = ({ xaxis, yaxis }, on, event) => {
    if (resting !== null) {
      clearTimeout(resting);
      resting = null;
      return;
    }
    if (!on || view.state.embed) return;
    const box = find("#graph-landscape > div").getBoundingClientRect();
    const alpha = along(on.slice.alpha, xaxis.p2d(event.clientX - box.left - xaxis._offset)),
      beta = along(on.slice.beta, yaxis.p2d(event.clientY - box.top - yaxis._offset));
    resting = setTimeout(() => {
      resting = null;
      if (alpha === null || beta === null) return;
      set(on.seq, alpha, beta);
      view.set({ dock: "lab" });
    }, DOUBLE_MS);
  };

  // The way without a mouse: a field for each coordinate, of the shown plane until there is a place.
  const typed = () => {
    const [alpha, beta] = form.fields.map(({ value }) => (value.trim() === "" ? NaN : Number(value)));
    const frame = current()?.frame ?? shown()?.seq;
    if (frame !== undefined && Number.isFinite(alpha) && Number.isFinite(beta)) set(frame, alpha, beta);
  };
  const make = () => {
    const fields = ["Alpha", "Beta"].map((name) =>
      element("input", { type: "number", step: "any", className: "number", "aria-label": `${name} on the plane` }),
    );
    fields.forEach((field) => field.addEventListener("change", typed));
    const note = element("p", { className: "words" });
    const away = element("button", { type: "button", className: "button", text: "Remove" });
    away.setAttribute("aria-label", "Remove the place on the plane");
    away.addEventListener("click", () => {
      form.fields.forEach((field) => {
        field.value = "";
      });
      remove();
    });
    const row = element("div", { className: "knob place" }, [
      element("span", { className: "name", text: "Place" }),
      element("span", { className: "amount" }, ["α", fields[0], "β", fields[1], away]),
      note,
    ]);
    form = { fields, note, away };
    return row;
  };
  const show = () => {
    if (!form) return;
    const at = current();
    if (at)
      form.fields.forEach((field, index) => {
        if (field !== document.activeElement) field.value = String([at.alpha, at.beta][index]);
      });
    form.away.hidden = !at;
    const on = shown() && planeOf(shown().seq);
    const found = at ? planeOf(at.frame) : on;
    const how = at ? "" : ": click on its map, or give both coordinates";
    setText(form.note, found ? against(found) || `${ofPlane(found)}${how}` : "");
  };
  return { current, words, isOn, reason, remove, clicked, make, show };
})();

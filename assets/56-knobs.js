// Sliders and fields for the numbers of a training. They follow the training's own word, except under one's hands.
landscope.knobs = (() => {
  const { controls, element, setText } = landscope;
  const TICKS = 1000; // of a slider
  const REST_MS = 350; // a key held down on a slider is one wish, once it rests
  const rows = new Map(); // "name/group" -> { row, slider, field, words, held }
  let words = {};

  const keyOf = ({ name, group }) => `${name}/${group ?? ""}`;
  const DECADES = 5; // of a logarithmic slider from zero, whose left end is zero
  const LOGARITHMIC = new Set(["lr", "weight_decay"]);
  const logarithmic = ({ scale, name, low }) => low >= 0 && (scale === "log" || LOGARITHMIC.has(name));
  const floorOf = ({ low, high }) => (low > 0 ? low : high / 10 ** DECADES);
  const toTick = (knob, value) => {
    const { low, high } = knob,
      floor = floorOf(knob);
    if (!(value > low)) return 0;
    const share = logarithmic(knob) ? Math.log(value / floor) / Math.log(high / floor) : (value - low) / (high - low);
    return Math.round(TICKS * Math.min(Math.max(share, 1 / TICKS), 1));
  };
  // A slider over all seeds, or from nothing to a million, is none.
  const slidable = (knob) => Number.isFinite(knob.high) && (logarithmic(knob) || knob.high - knob.low <= 10000);
  // Two digits are as much as a slider can mean.
  const toValue = (knob, tick) => {
    const { low, high } = knob,
      floor = floorOf(knob),
      share = tick / TICKS;
    if (tick === 0) return low;
    const exact = logarithmic(knob) ? floor * (high / floor) ** share : low + share * (high - low);
    if (knob.whole || knob.scale === "integer") return Math.round(exact);
    return logarithmic(knob) ? Number(exact.toPrecision(2)) : Number(exact.toFixed(3));
  };
  const labelOf = (knob) => {
    const own = knob.label || words[knob.name]?.label || knob.name;
    const label = own.charAt(0).toUpperCase() + own.slice(1);
    return knob.group === null || knob.group === undefined ? label : `${label}, group ${knob.group + 1}`;
  };

  // One row: its name and field, the slider below, what it does; `choose(value)` is called on release.
  const make = (knob, id, choose) => {
    const label = labelOf(knob);
    const about = `${id}-words`;
    const field = element("input", { type: "number", step: "any", id, className: "number", "aria-describedby": about });
    const slider = element("input", { type: "range", min: "0", max: String(TICKS), "aria-label": `${label}, slider` });
    slider.hidden = !slidable(knob);
    const note = element("p", { className: "words", id: about, text: words[knob.name]?.words || knob.summary || "" });
    const unit = element("span", { className: "unit", text: knob.unit || "" });
    const row = element("div", { className: "knob" }, [
      element("label", { for: id, text: label }),
      element("span", { className: "amount" }, [field, unit]),
      slider,
      note,
    ]);
    const made = { row, field, slider, note, knob, held: false, text: note.textContent };
    const hold = () => {
      made.held = true;
    };
    let resting = null,
      keyed = false;
    const wish = () => {
      clearTimeout(resting);
      resting = null;
      made.held = false;
      choose(toValue(made.knob, Number(slider.value)));
    };
    slider.addEventListener("pointerdown", () => {
      keyed = false;
      hold();
    });
    slider.addEventListener("keydown", () => {
      keyed = true;
    });
    slider.addEventListener("input", () => {
      hold();
      field.value = String(toValue(made.knob, Number(slider.value)));
      slider.setAttribute("aria-valuetext", field.value);
    });
    slider.addEventListener("change", () => {
      hold();
      clearTimeout(resting);
      resting = setTimeout(wish, keyed ? REST_MS : 0);
    });
    slider.addEventListener("blur", () => {
      if (resting === null) made.held = false;
      else wish();
    });
    ["pointerup", "pointercancel"].forEach((name) =>
      slider.addEventListener(name, () => {
        if (resting === null) made.held = false; // let go where it was
      }),
    );
    field.addEventListener("input", hold);
    field.addEventListener("change", () => {
      made.held = false;
      if (field.value !== "" && Number.isFinite(Number(field.value))) choose(Number(field.value));
    });
    field.addEventListener("blur", () => {
      made.held = false;
    });
    return made;
  };
  const fill = (made, knob, value, { pending = false, fixed = false, reason = "" } = {}) => {
    made.knob = knob;
    made.row.classList.toggle("pending", pending);
    made.row.classList.toggle("fixed", fixed);
    [made.field, made.slider].forEach((input) => {
      input.disabled = fixed;
    });
    setText(made.note, reason || made.text);
    if (made.held) return;
    const tick = String(toTick(knob, value)),
      shown = value === null || value === undefined ? "" : String(Number(value.toPrecision(6)));
    if (made.slider.value !== tick) made.slider.value = tick;
    if (made.field.value !== shown) made.field.value = shown;
    made.slider.setAttribute("aria-valuetext", shown);
    made.slider.title = fixed ? "" : `from ${landscope.format.tick(knob.low)} to ${landscope.format.tick(knob.high)}`;
  };

  // What is known by name but can not be turned stands there all the same, with its reason.
  const CUSTOMARY = ["lr", "weight_decay", "momentum", "batch_size"];
  const all = () => {
    const known = controls.state.known;
    if (!known) return [];
    const turned = new Set((known.knobs || []).map(({ name }) => name));
    const fixed = CUSTOMARY.filter((name) => !turned.has(name) && known.reasons?.[name]);
    return [...(known.knobs || []), ...fixed.map((name) => ({ name, value: null, low: 0, high: 1 }))];
  };
  const show = (place) => {
    const knobs = all(),
      keys = knobs.map(keyOf);
    if ([...rows.keys()].join() !== keys.join()) {
      rows.clear();
      knobs.forEach((knob, index) => {
        const choose = (value) => {
          if (value !== controls.valueOf(rows.get(keyOf(knob)).knob))
            controls.send("set", { name: knob.name, value, group: knob.group ?? null });
        };
        rows.set(keyOf(knob), make(knob, `knob-${index}`, choose));
      });
      place.replaceChildren(...[...rows.values()].map(({ row }) => row));
    }
    knobs.forEach((knob) => {
      const pending = Boolean(controls.asked("set", controls.sameKnob(knob)));
      const fixed = Boolean(controls.reasonAgainst(knob.name)),
        reason = controls.ownReason(knob.name);
      fill(rows.get(keyOf(knob)), knob, controls.valueOf(knob), { pending, fixed, reason });
    });
  };
  const mount = (steering) => {
    words = steering;
  };
  return { mount, make, fill, show, labelOf };
})();

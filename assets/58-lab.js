// The form of a measurement on demand: what, of which loss and weights, with which parameters, and what it will take.
landscope.lab = (() => {
  const { run, view, controls, find, setText, element, format } = landscope;
  const REST_MS = 250;
  const PLACE = "place"; // among the weights: those at a place on a plane
  const chosen = new Map(); // measurement -> { parameter: value } that differ from the usual
  let entries = null,
    words = {},
    form = null,
    price = { key: "", gradients: null, wrong: "" },
    asking = null,
    sent = false;

  const offered = () => {
    const known = controls.live() ? controls.state.known?.measurements : null;
    return (entries || []).filter(({ name }) => !Array.isArray(known) || known.includes(name));
  };
  const entry = () => {
    const all = offered();
    return all.find(({ name }) => name === view.state.measure) || all[0] || null;
  };
  const values = () => {
    const one = entry();
    if (one && !chosen.has(one.name)) chosen.set(one.name, {});
    return one ? chosen.get(one.name) : {};
  };

  // Why nothing can be measured now; "" where something can.
  const unable = () => {
    if (!run.data.head) return "The run is not known yet.";
    if (controls.live()) return controls.reasonAgainst("measure");
    if (controls.standing()) return controls.standing();
    return typeof run.data.head.worker !== "string" ? "Nobody is there to measure it." : "";
  };
  const reason = () => unable() || landscope.place.reason() || landscope.objective.reason();
  const worker = () => {
    const state = controls.live() ? "" : run.data.head?.worker || "";
    if (state === "starting") return "The worker is starting: it builds the model and reads the weights.";
    if (state.startsWith("failed")) return `The worker ${state}`;
    return "";
  };

  const row = (label, control, note = "") => {
    const id = `lab-${label.replaceAll(/[^a-z]+/gi, "-").toLowerCase()}`;
    control.id = id;
    control.setAttribute("aria-describedby", `${id}-words`);
    return element("div", { className: "knob" }, [
      element("label", { for: id, text: label }),
      control,
      element("p", { className: "words", id: `${id}-words`, text: note }),
    ]);
  };
  const select = (options) =>
    element(
      "select",
      { className: "select" },
      options.map(([value, text]) => element("option", { value, text })),
    );
  // A parameter's control, by its kind; labels may have a remark behind a semicolon.
  const control = (spec) => {
    const [label, remark = ""] = spec.label.split(/;\s*(.*)/s),
      name = label.charAt(0).toUpperCase() + label.slice(1);
    const held = values();
    const take = (value) => {
      held[spec.name] = value;
      estimate();
    };
    const start = held[spec.name] ?? spec.default;
    if (["integer", "number"].includes(spec.kind)) {
      const low = spec.low ?? -Infinity,
        high = spec.high ?? Infinity;
      const scale = spec.scale === "log" || (low > 0 && high / low > 100) ? "log" : "linear";
      const knob = { ...spec, low, high, label: name, summary: remark, scale, whole: spec.kind === "integer" };
      const made = landscope.knobs.make(knob, `lab-${spec.name}`, (value) => {
        take(value);
        landscope.knobs.fill(made, knob, value);
      });
      landscope.knobs.fill(made, knob, start);
      return made.row;
    }
    if (spec.kind === "flag") {
      const box = element("input", { type: "checkbox" });
      box.checked = start;
      box.addEventListener("change", () => take(box.checked));
      return row(name, box, remark);
    }
    const input =
      spec.kind === "choice"
        ? select(spec.choices.map((value) => [value, value]))
        : element("input", { type: "text", className: "text" });
    input.value = start;
    input.addEventListener("change", () => take(input.value));
    return row(name, input, remark);
  };

  const keptSteps = () =>
    [...(run.data.frames.get("snapshot")?.step || []), ...(controls.state.known?.checkpoints || [])].sort(
      (a, b) => a - b,
    );
  // The kept weights that are nearest at or below the shown step.
  const keptStep = () => {
    const ascending = keptSteps(),
      index = landscope.lastAtOrBelow(ascending, run.shownStep());
    return index < 0 ? null : ascending[index];
  };
  const build = () => {
    const what = select([]),
      step = select([["", "newest"]]);
    what.addEventListener("change", () => view.set({ measure: what.value }));
    step.addEventListener("change", () => {
      if (step.value !== PLACE) landscope.place.remove();
    });
    const rows = [
      row("Measurement", what, words.what),
      ...landscope.objective.make(row, words.objective, show),
      row("Weights", step, words.step),
    ];
    const parameters = element("div", { className: "turned" });
    form = { what, step, parameters, summary: rows[0].querySelector(".words") };
    find("[data-form]").replaceChildren(...rows, landscope.place.make(), parameters);
  };
  const fill = () => {
    const all = offered(),
      one = entry(),
      key = JSON.stringify(all.map(({ name }) => name));
    if (form.what.dataset.key !== key) {
      form.what.dataset.key = key;
      form.what.replaceChildren(...all.map(({ name }) => element("option", { value: name, text: name })));
      form.parameters.dataset.of = "";
    }
    if (!one) return;
    form.what.value = one.name;
    setText(form.summary, one.title);
    if (form.parameters.dataset.of !== one.name) {
      form.parameters.dataset.of = one.name;
      form.parameters.replaceChildren(...one.parameters.map(control));
      estimate();
    }
    landscope.objective.fill();
    const kept = view.following() ? null : keptStep(),
      steps = [["", "newest"]];
    if (kept !== null) steps.push([String(kept), `step ${format.whole(kept)}`]);
    const at = landscope.place.current(),
      chosen = form.step.value;
    const wished = at ? PLACE : !["", PLACE].includes(chosen) && steps.length > 1 ? steps[1][0] : "";
    if (at) steps.push([PLACE, landscope.place.words()]);
    landscope.place.show();
    const stepKey = JSON.stringify(steps);
    if (form.step.dataset.key === stepKey) return;
    form.step.dataset.key = stepKey;
    form.step.replaceChildren(...steps.map(([value, text]) => element("option", { value, text })));
    form.step.value = wished;
  };

  // What it will take, once the form rests.
  const estimate = () => {
    clearTimeout(asking);
    const one = entry(),
      key = JSON.stringify([one?.name, values()]);
    if (!one || key === price.key) return;
    asking = setTimeout(async () => {
      try {
        price = { key, ...(await landscope.api.cost(one.name, values())) };
      } catch (error) {
        price = { key, gradients: null, wrong: error.message };
      }
      show();
    }, REST_MS);
  };
  // What so many gradients take, by what one takes in this run.
  const takes = (gradients, about = "about") => {
    const each = controls.state.known?.gradient_seconds;
    if (!Number.isFinite(each)) return `${about} ${format.whole(gradients)} gradients`;
    return `takes ${about} ${format.seconds(each * gradients)}`;
  };
  const estimateWords = () => {
    if (price.wrong || price.gradients === null) return price.wrong;
    return takes(price.gradients, landscope.objective.fewer() ? "at most about" : "about");
  };

  const show = () => {
    if (!form || view.state.run === null || !landscope.dock.isOpen("lab")) return;
    load();
    const against = reason();
    setText(find('#dock [data-words="lab"]'), against || worker());
    fill();
    setText(find('#dock [data-words="estimate"]'), estimateWords());
    landscope.steering.permit("measure", against || price.wrong || (sent ? "Being asked." : ""), "Measure");
  };
  const load = async () => {
    if (entries !== null) return;
    entries = [];
    try {
      entries = (await landscope.api.lab()).measurements;
      show();
    } catch (error) {
      setText(find('#dock [data-words="estimate"]'), error.message);
      setTimeout(() => {
        entries = null;
      }, 4000);
    }
  };
  const measure = async () => {
    const against = reason() || price.wrong,
      one = entry();
    if (against || !one || sent) {
      if (against) landscope.steering.refuse(against);
      return;
    }
    sent = true;
    show();
    const at = landscope.place.current();
    const step = form.step.value === "" || at ? null : Number(form.step.value);
    const asked = { what: one.name, ...landscope.objective.params(), step, parameters: { ...values() } };
    if (at) asked.at = at;
    const ticket = await controls.send("measure", asked);
    if (ticket.seq !== null) landscope.jobs.expect(ticket);
    sent = false;
    show();
  };
  // From a panel's explanation, which would lie over the form.
  const open = (what) => {
    window.dash_clientside.set_props("drawer", { opened: false });
    view.set({ dock: "lab", measure: what });
  };
  const mount = (laboratory) => {
    words = laboratory;
    build();
    show();
  };
  const title = (what) => (entries || []).find(({ name }) => name === what)?.title || "";
  ["data", "head", "controls", "connection", "run", "route", "plan"].forEach((event) => landscope.on(event, show));
  landscope.on("view", (changed) => {
    if (["dock", "measure", "step", "at", "plane", "chosen"].some((key) => changed.has(key))) show();
  });
  return { mount, measure, open, title, keptSteps, keptStep, unable, worker, takes };
})();

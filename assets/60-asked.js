// Radius and resolution of the shown plane: measured anew by the laboratory, coarse to fine, and shown in the panel.
landscope.asked = (() => {
  const { run, view, controls, find, element, setText, format, jobs } = landscope;
  const WHAT = "slice2d",
    FRAME = /^lab\/(\d+)\/slice2d$/;
  const MEASURED = ["trajectory", "random", "hessian"]; // the planes that the laboratory lays
  const DECADES = 2, // of the radius, either way
    TICKS = 20, // of a slider, to each
    POINTS = [3, 7]; // powers of two, plus one: the grids with the most coarser ones in them
  const WIDTH = 320, // pixels, of the open list
    REST_MS = 250;
  const buttons = new Map(); // job -> its row among those that were measured
  let form = null,
    price = { key: "", gradients: null, wrong: "" },
    asking = null,
    sent = false,
    awaited = null; // a job that is shown as soon as there is something to see

  const frameOf = (job) => `lab/${job}/${WHAT}`;
  // The jobs of the run that have a plane to show, ascending.
  const all = () =>
    [...run.data.frames]
      .filter(([name, { seq }]) => FRAME.test(name) && seq.length)
      .map(([name]) => Number(name.match(FRAME)[1]))
      .sort((a, b) => a - b);
  const shownJob = () => (view.state.asked ? Number(view.state.asked) : (all().at(-1) ?? 0));
  const frameName = () => frameOf(shownJob());
  const wordOf = (number) => jobs.all().find(({ job }) => job === number);
  const newestFrame = () => frameOf(all().at(-1) ?? 0);
  const underway = () => {
    const job = wordOf(shownJob());
    return Boolean(job) && !jobs.over(job);
  };
  // The plane, the step and the name of a frame among these; null where it is none.
  const planeOf = (seq) => {
    const name = all().map(frameOf).find((one) => run.data.frames.get(one).seq.includes(seq));
    const slice = name && landscope.frames.get(seq);
    return slice ? { plane: slice.plane, name, step: slice.provenance.step } : null;
  };

  const slice = () => landscope.panels.all.get("landscape")?.shown?.found || null;
  const halfOf = ({ alpha }) => Math.max(Math.abs(alpha.data[0]), Math.abs(alpha.data.at(-1)));
  // Half the side that the slider's middle stands for: that of the run's own plane, and of the trajectory's once the path.
  const middle = (on) => {
    if (on.plane === "trajectory") return 1;
    const own = run.frameAt(`slice/${on.plane}`, run.shownStep());
    const found = own && landscope.frames.get(own.seq);
    if (own && !found) landscope.frames.load(own.seq).then(show, () => {});
    return halfOf(found || on);
  };
  const unitOf = (on) => {
    if (on.plane === "trajectory") return "× the path";
    return on.normalisation === "none" ? "in weight space" : landscope.drawers.landscape.unitOf(on);
  };
  const radius = (on) => Number((middle(on) * 10 ** (Number(form.radius.value) / TICKS)).toPrecision(2));
  const points = () => 2 ** Number(form.points.value) + 1;
  const parameters = (on) => {
    const asked = { plane: on.plane, points: points(), radius: radius(on) };
    if (on.plane !== "random") return asked;
    const [a, b, , c] = on.gram ? on.gram.data : [1, 1, 1, 1];
    const orthogonal = Math.abs(b) < 1e-6 * Math.sqrt(a * c);
    return { ...asked, normalisation: on.normalisation, seed: on.provenance.seed ?? 0, orthogonal };
  };
  // Of which weights: those of the shown step, or the kept ones nearest below; null for the newest.
  const step = (on) => {
    if (view.following()) return null;
    const { step: own } = on.provenance;
    return landscope.lab.keptSteps().includes(own) ? own : landscope.lab.keptStep();
  };
  const reason = () => {
    const on = slice();
    if (landscope.lab.unable()) return landscope.lab.unable();
    if (view.state.plane === "all") return "Choose one of the planes first.";
    if (!on) return "There is no plane to be seen yet.";
    if (!MEASURED.includes(on.plane)) return `The laboratory cannot lay a ${on.plane} plane.`;
    const offered = controls.live() ? controls.state.known?.measurements : null;
    if (Array.isArray(offered) && !offered.includes(WHAT)) return "This training does not measure planes on demand.";
    const kept = landscope.lab.keptSteps();
    if (!controls.live() && !kept.length) return "No weights were kept in this run.";
    if (!view.following() && step(on) === null) return "No weights were kept at or before the shown step.";
    return "";
  };
  const where = (on) => {
    const at = step(on);
    if (at !== null) return `at the weights of step ${format.whole(at)}`;
    return controls.live() ? "at the weights of now" : `at the weights of step ${format.whole(landscope.lab.keptSteps().at(-1))}`;
  };

  // The newest job on a plane, which is the one that a person waits for.
  const newest = () =>
    jobs
      .all()
      .filter(({ what }) => what === WHAT)
      .at(-1);
  const job = () => {
    const one = newest();
    if (!one || jobs.over(one)) return null;
    return controls.live() || typeof run.data.head?.worker === "string" ? one : null;
  };

  const estimate = (on) => {
    const key = JSON.stringify(parameters(on));
    if (key === price.key) return;
    price = { key, gradients: null, wrong: "" };
    clearTimeout(asking);
    asking = setTimeout(async () => {
      const found = { key, gradients: null, wrong: "" };
      try {
        Object.assign(found, await landscope.api.cost(WHAT, JSON.parse(key)));
      } catch (error) {
        found.wrong = error.message;
      }
      if (price.key === key) price = found;
      show();
    }, REST_MS);
  };
  const words = (on, against) => {
    if (against) return against;
    const last = newest();
    const failed = last?.state === "failed" ? `${last.text}. ` : "";
    const cost = price.wrong || (price.gradients === null ? "" : `, ${landscope.lab.takes(price.gradients)}`);
    return `${failed}The ${on.plane} plane, ${where(on)}${cost}.`;
  };
  // A button for each, the newest first; those that stay keep the focus.
  const buttonOf = (number) => {
    const button = element("button", { type: "button", className: "button" });
    button.addEventListener("click", () => view.set({ plane: "asked", asked: String(number) }));
    return { item: element("li", {}, [button]), button };
  };
  const list = () => {
    const known = all();
    if (form.list.dataset.run !== run.data.id) {
      form.list.dataset.run = run.data.id;
      form.list.replaceChildren();
      buttons.clear();
    }
    form.heading.hidden = !known.length;
    known.forEach((number) => {
      if (!buttons.has(number)) {
        buttons.set(number, buttonOf(number));
        form.list.prepend(buttons.get(number).item);
      }
      const { step: steps, seq } = run.data.frames.get(frameOf(number)),
        { button } = buttons.get(number),
        found = landscope.frames.get(seq.at(-1));
      if (!found) landscope.frames.load(seq.at(-1)).then(show, () => {});
      const told = found ? `${found.plane}, ${found.loss.shape.join(" × ")}` : button.dataset.told || `job ${number}`;
      button.dataset.told = told;
      setText(button, `${told}, step ${format.whole(steps.at(-1))}`);
      button.setAttribute("aria-pressed", String(view.state.plane === "asked" && shownJob() === number));
    });
  };
  const show = () => {
    if (!form || view.state.run === null) return;
    const waiting = job(),
      left = waiting ? jobs.stateWords(waiting) : "";
    setText(form.button.querySelector(".button-text"), waiting ? left.replace(/ · .*/, "") : "");
    if (!form.popover.matches(":popover-open")) return;
    const on = slice(),
      against = reason();
    if (!against) estimate(on);
    const drawable = on && MEASURED.includes(on.plane);
    const reach = drawable ? `${format.tick(radius(on))} ${unitOf(on)}` : "";
    setText(form.reach, reach);
    form.radius.setAttribute("aria-valuetext", reach);
    const grid = `${points()} × ${points()}`;
    setText(form.grid, grid);
    form.points.setAttribute("aria-valuetext", `${points()} points a side`);
    setText(form.words, words(on, against));
    landscope.steering.permit("measure-plane", against || price.wrong || (sent ? "Being asked." : ""), "Measure");
    form.progress.hidden = !waiting;
    if (waiting) {
      if (Number.isFinite(waiting.done)) form.bar.value = waiting.done;
      else form.bar.removeAttribute("value");
      setText(form.left, waiting.state === "queued" ? landscope.lab.worker() || left : left);
    }
    list();
  };

  const measure = async () => {
    const against = reason() || price.wrong,
      on = slice();
    if (against || sent) return;
    sent = true;
    show();
    const objective = on.provenance.split === "test" ? "test" : "train";
    const ticket = await controls.send("measure", { what: WHAT, objective, step: step(on), parameters: parameters(on) });
    sent = false;
    if (ticket.seq !== null) {
      awaited = { run: ticket.run, job: ticket.seq };
      jobs.expect(ticket);
    }
    show();
  };
  const cancel = () => {
    const waiting = job();
    if (waiting) jobs.cancel(waiting.job);
    show();
  };
  // As soon as there is a coarse picture of what was asked for here, it is shown.
  const arrive = () => {
    if (!awaited || awaited.run !== run.data.id || !all().includes(awaited.job)) return;
    const { job: number } = awaited;
    awaited = null;
    view.set({ plane: "asked", asked: String(number) });
  };

  const slider = (name, low, high, value) => {
    const id = `plane-${name.toLowerCase()}`;
    const input = element("input", { type: "range", id, min: String(low), max: String(high), value: String(value) });
    const output = element("output", { for: id });
    input.addEventListener("input", show);
    return [input, output, element("div", { className: "knob" }, [element("label", { for: id, text: name }), output, input])];
  };
  const mount = () => {
    const [radiusSlider, reach, radiusRow] = slider("Radius", -DECADES * TICKS, DECADES * TICKS, 0),
      [pointsSlider, grid, pointsRow] = slider("Points", ...POINTS, 5);
    const note = element("p", { className: "words", role: "status" });
    const bar = element("progress", { max: "1", "aria-label": "Progress of the plane" }),
      left = element("span", { className: "words" }),
      end = element("button", { type: "button", className: "button", text: "Cancel" });
    end.addEventListener("click", cancel);
    const progress = element("div", { className: "underway" }, [bar, element("div", { className: "row" }, [left, end])]);
    const start = element("button", { type: "button", className: "button", text: "Measure" });
    start.dataset.action = "measure-plane";
    const heading = element("h3", { text: "Measured on demand" }),
      known = element("ul");
    const popover = element(
      "div",
      { id: "asked", className: "checks asked", popover: "auto", role: "group", "aria-label": "Radius and resolution" },
      [
        element("h3", { text: "Radius and resolution of this plane" }),
        radiusRow,
        pointsRow,
        note,
        element("div", { className: "row" }, [start]),
        progress,
        heading,
        known,
      ],
    );
    const button = landscope.quietButton("lab", "", "Radius and resolution");
    delete button.dataset.action;
    button.setAttribute("popovertarget", "asked");
    button.append(element("span", { className: "button-text" }));
    find("[data-asked]").append(button, popover);
    form = {
      button, popover, progress, bar, left, heading, reach, grid, words: note, list: known,
      radius: radiusSlider, points: pointsSlider,
    }; // prettier-ignore
    popover.addEventListener("beforetoggle", () => {
      const box = button.getBoundingClientRect();
      popover.style.top = `${box.bottom + 4}px`;
      popover.style.left = `${Math.max(Math.min(box.left, window.innerWidth - WIDTH - 8), 8)}px`;
      popover.style.width = `${WIDTH}px`;
    });
    popover.addEventListener("toggle", show);
  };
  ["data", "head", "controls", "connection", "run", "route"].forEach((event) => landscope.on(event, show));
  landscope.on("data", arrive);
  landscope.on("view", (changed) => {
    if (["step", "plane", "asked"].some((key) => changed.has(key))) show();
  });
  return { mount, measure, jobs: all, frameName, newestFrame, underway, planeOf };
})();

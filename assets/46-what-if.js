// A learning rate drawn for the steps ahead, and what the server's law makes of it; its knots are in the address.
landscope.whatIf = (() => {
  const { view, run, find, element, format, setText } = landscope;
  const RATE = "step/learning_rate";
  const KNOTS = 7;
  const [HEIGHT, EDGE, LABELS] = [52, 8, 42]; // pixels of the strip
  const REST_MS = 350; // a key held down is one wish, once it rests
  const FINE = 10 ** 0.05,
    COARSE = 10 ** 0.5;
  const KEYS = {
    ArrowUp: (rate) => rate * FINE,
    ArrowRight: (rate) => rate * FINE,
    ArrowDown: (rate) => rate / FINE,
    ArrowLeft: (rate) => rate / FINE,
    PageUp: (rate) => rate * COARSE,
    PageDown: (rate) => rate / COARSE,
    Home: () => range.low,
    End: () => range.high,
  };
  const along = (shape) => Array.from({ length: KNOTS }, (_, index) => shape(index / (KNOTS - 1)));
  // Zero has no place on a logarithmic axis: falling schedules end at a thousandth.
  const LEAST = 1e-3;
  const PRESETS = {
    constant: () => along(() => 1),
    cosine: () => along((share) => Math.max((1 + Math.cos(Math.PI * share)) / 2, LEAST)),
    "linear to zero": () => along((share) => Math.max(1 - share, LEAST)),
    WSD: () => along((share) => Math.max(Math.min(1, 3 * (1 - share)), LEAST)),
  };
  let place, select, strip, curve, level, labels, words, outcome;
  let width = 400;
  let shown = null, // the forecast in the panel
    range = { now: 0, low: 0, high: 0 },
    knots = [],
    marks = [],
    resting = null,
    drawing = null; // where the pointer was last
  let asked = { key: null, made_at: null, answer: null, text: "" };

  const svg = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  };
  const rounded = (rate) => Number(Math.min(Math.max(rate, range.low), range.high).toPrecision(3));
  const drawn = () => view.state.whatif.split(",").map(Number);
  const sensible = (rates) => rates.length > 1 && rates.every((rate) => Number.isFinite(rate) && rate > 0);

  // Places in the strip.
  const across = (share) => LABELS + share * (width - LABELS - EDGE);
  const heightOf = (rate) => {
    const share = Math.log(Math.max(rate, range.low) / range.low) / Math.log(range.high / range.low);
    return HEIGHT - EDGE - Math.min(share, 1) * (HEIGHT - 2 * EDGE);
  };
  const rateAt = (height) => {
    const share = (HEIGHT - EDGE - height) / (HEIGHT - 2 * EDGE);
    return rounded(range.low * (range.high / range.low) ** share);
  };
  // The rate itself is straight between two knots, which is bent on this axis.
  const outline = () =>
    knots
      .flatMap((rate, index) => {
        const next = knots[index + 1] ?? rate;
        return Array.from({ length: index === knots.length - 1 ? 1 : 12 }, (_, part) => [
          across((index + part / 12) / (knots.length - 1)),
          heightOf(rate + ((next - rate) * part) / 12),
        ]);
      })
      .map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`)
      .join(" ");

  const arrange = () => {
    const first = shown.made_at + 1;
    if (marks.length !== knots.length) {
      marks.forEach((mark) => mark.remove());
      marks = knots.map((_, index) => {
        const mark = svg("circle", { class: "knot", r: 4.5, tabindex: 0, role: "slider" });
        mark.addEventListener("keydown", (event) => turn(event, index));
        return mark;
      });
      strip.append(...marks);
    }
    marks.forEach((mark, index) => {
      const step = Math.round(first + (index / (knots.length - 1)) * (shown.made_at - 1));
      Object.entries({
        cx: across(index / (knots.length - 1)),
        cy: heightOf(knots[index]),
        "aria-label": `learning rate at step ${format.whole(step)}`,
        "aria-valuemin": range.low,
        "aria-valuemax": range.high,
        "aria-valuenow": knots[index],
        "aria-valuetext": format.number(knots[index]),
      }).forEach(([name, value]) => mark.setAttribute(name, value));
    });
    curve.setAttribute("points", outline());
    const rates = [range.high, range.now, range.low];
    labels.forEach((label, index) => {
      label.setAttribute("y", heightOf(rates[index]) + 3);
      setText(label, format.tick(Number(rates[index].toPrecision(index === 1 ? 2 : 1))));
    });
    Object.entries({ x1: across(0), x2: across(1), y1: heightOf(range.now), y2: heightOf(range.now) }).forEach((one) =>
      level.setAttribute(...one),
    );
  };
  const commit = () => {
    clearTimeout(resting);
    resting = null;
    view.set({ whatif: knots.join(",") });
  };
  const turn = (event, index) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys move through time
    knots[index] = rounded(KEYS[event.key](knots[index]));
    arrange();
    clearTimeout(resting);
    resting = setTimeout(commit, REST_MS);
  };
  // Every knot that the pointer passed gets the height it passed at.
  const draw = (event) => {
    const box = strip.getBoundingClientRect();
    const here = { x: event.clientX - box.left, y: event.clientY - box.top };
    const before = drawing || here;
    drawing = here;
    knots.forEach((_, index) => {
      const at = across(index / (knots.length - 1));
      const nearest = Math.abs(at - here.x) <= (across(1) - across(0)) / (knots.length - 1) / 2;
      const passed = (at - before.x) * (at - here.x) < 0;
      if (passed) knots[index] = rateAt(before.y + ((here.y - before.y) * (at - before.x)) / (here.x - before.x));
      else if (nearest) knots[index] = rateAt(here.y);
    });
    arrange();
  };

  const ask = async () => {
    const { whatif } = view.state,
      { made_at } = shown,
      key = `${run.data.id}|${made_at}|${whatif}`;
    if (asked.key === key) return;
    asked = { ...asked, key };
    const told = await landscope.api
      .whatIf(run.data.id, whatif, made_at)
      .catch((error) => ({ refused: error.message }));
    if (asked.key !== key) return;
    asked = { key, made_at, answer: told.refused ? null : told, text: told.refused || told.words };
    landscope.emit("view", new Set(["whatif"])); // drawn anew, as after another choice
  };
  // What the law says beside a forecast: of the last drawing that was answered, until the present one is.
  const answer = (made) => (view.state.whatif && made && asked.made_at === made.made_at ? asked.answer : null);

  const show = (made) => {
    if (!place) return;
    shown = made;
    place.hidden = !made;
    if (!made) return;
    const rate = run.valueAt(RATE, made.made_at),
      open = Boolean(view.state.whatif);
    select.disabled = !rate && !open;
    const most = run.rangeOf([RATE])?.hi ?? 0;
    const now = rate || most || 1e-3;
    range = { now, low: LEAST * now, high: Math.max(10 * now, most) };
    strip.toggleAttribute("hidden", !open || !sensible(drawn()));
    setText(words, open ? asked.text : rate ? "" : "This run has no recorded learning rate.");
    words.title = words.textContent;
    words.hidden = !words.textContent;
    const told = answer(made);
    const half = told ? (told.high.at(-1) - told.low.at(-1)) / 2 : 0;
    setText(outcome, told ? `${format.number(told.expected.at(-1))} ± ${format.number(half, 2)}` : "");
    outcome.title = told ? `at step ${format.whole(told.steps.at(-1))}` : "";
    if (!open) asked = { key: null, made_at: null, answer: null, text: "" };
    if (open && resting === null && drawing === null) knots = drawn();
    if (open && sensible(knots)) arrange();
    const named = Object.keys(PRESETS).find((name) => preset(name) === view.state.whatif);
    select.value = open ? named || "drawn" : "";
    if (open) ask();
  };
  const preset = (name) =>
    PRESETS[name]()
      .map((share) => rounded(share * range.now))
      .join(",");

  const mount = () => {
    const options = [["", "as it is"], ...Object.keys(PRESETS).map((name) => [name, name]), ["drawn", "drawn"]];
    select = element(
      "select",
      { className: "select", id: "what-if" },
      options.map(([value, text]) => element("option", { value, text })),
    );
    select.lastElementChild.disabled = true;
    select.addEventListener("change", () => view.set({ whatif: select.value ? preset(select.value) : "" }));
    strip = svg("svg", {
      class: "what-if-strip",
      role: "group",
      "aria-label": "Knots of the learning rate",
    });
    curve = svg("polyline", { class: "what-if-curve" });
    level = svg("line", { class: "what-if-level" });
    labels = ["high", "now", "low"].map(() => svg("text", { class: "what-if-label", x: LABELS - EDGE }));
    strip.append(level, ...labels, curve);
    new ResizeObserver(() => {
      width = strip.clientWidth || width;
      if (shown && marks.length) arrange();
    }).observe(strip);
    strip.addEventListener("pointerdown", (event) => {
      strip.setPointerCapture(event.pointerId);
      draw(event);
    });
    strip.addEventListener("pointermove", (event) => drawing && draw(event));
    ["pointerup", "pointercancel"].forEach((end) =>
      strip.addEventListener(end, () => {
        if (!drawing) return;
        drawing = null;
        commit();
      }),
    );
    outcome = element("span", { className: "what-if-outcome" });
    words = element("p", { className: "words", role: "status", tabindex: "0" });
    place = element("div", { className: "what-if" }, [
      element("div", { className: "row" }, [
        element("label", { for: "what-if", text: "Learning rate ahead" }),
        select,
        outcome,
      ]),
      strip,
      words,
    ]);
    place.hidden = true;
    find('[data-cover="curves"]').before(place);
  };
  return { mount, show, answer };
})();

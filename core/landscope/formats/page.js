// Draws the pictures of a page that stands alone, each when it comes into sight, at the step of the slider.
(() => {
  const { config, steps } = JSON.parse(document.querySelector("#page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const slider = document.querySelector("#step"),
    play = document.querySelector("#play"),
    told = document.querySelector("#step-told");
  const FRAME_MS = 250;
  let chosen = steps.length ? steps[steps.length - 1] : null,
    playing = false;

  const format = (number) => number.toLocaleString("en-GB");
  const inflate = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  // What repeats is written once, and referred to by its place. Made anew each time, as plotly writes into layouts.
  const whole = (node, pool) => {
    if (Array.isArray(node)) return node.map((item) => whole(item, pool));
    if (node === null || typeof node !== "object") return node;
    if ("$" in node) return whole(pool[node.$], pool);
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, whole(value, pool)]));
  };

  const pictures = [...document.querySelectorAll(".picture")].map((section) => ({
    section,
    graph: section.querySelector(".graph"),
    words: section.querySelector(".words"),
    packed: section.querySelector(".frames"),
    overSteps: "overSteps" in section.dataset,
    seen: false,
    drawn: "",
    turn: Promise.resolve(),
  }));
  // A line at the chosen step, in graphs over the steps.
  const marked = (layout) => {
    if (chosen === null) return layout;
    const line = { color: dark.matches ? "#ff6fa8" : "#d1246b", width: 1 };
    const cursor = { type: "line", x0: chosen, x1: chosen, y0: 0, y1: 1, yref: "paper", line };
    return { ...layout, shapes: [...(layout.shapes || []), cursor] };
  };
  const draw = async (picture) => {
    picture.unpacked ||= inflate(picture.packed.textContent);
    const { frames, pool } = await picture.unpacked;
    const at = frames.findLastIndex(({ step }) => step === null || chosen === null || step <= chosen);
    const key = `${at} ${dark.matches} ${picture.overSteps ? chosen : ""}`;
    if (key === picture.drawn) return;
    picture.drawn = key;
    if (at < 0) {
      Plotly.purge(picture.graph);
      picture.words.textContent = `first measured at step ${format(frames[0].step)}`;
      return;
    }
    const { data, layout } = whole(frames[at][dark.matches ? "dark" : "light"], pool);
    const { width, height, ...rest } = picture.overSteps ? marked(layout) : layout;
    await Plotly.react(picture.graph, data, { ...rest, autosize: true, uirevision: "kept" }, config);
    picture.words.textContent = whole(frames[at].words, pool);
  };
  // One drawing after the other; those that were overtaken find nothing left to do.
  const refresh = (picture) => {
    picture.turn = picture.turn
      .then(() => draw(picture))
      .catch((error) => {
        picture.words.textContent = `It cannot be drawn: ${error.message}`;
      });
    return picture.turn;
  };
  const refreshSeen = () => Promise.all(pictures.filter(({ seen }) => seen).map(refresh));

  const choose = (index) => {
    chosen = steps[index];
    slider.value = String(index);
    slider.setAttribute("aria-valuetext", `step ${format(chosen)}`);
    told.textContent = `step ${format(chosen)} of ${format(steps[steps.length - 1])}`;
    return refreshSeen();
  };
  const pause = () => {
    playing = false;
    play.textContent = "Play";
  };
  const start = async () => {
    playing = true;
    play.textContent = "Pause";
    const last = steps.length - 1;
    let index = Number(slider.value) < last ? Number(slider.value) : -1;
    while (playing && index < last) {
      index += 1;
      await Promise.all([choose(index), new Promise((resolve) => setTimeout(resolve, FRAME_MS))]);
    }
    pause();
  };

  if (steps.length > 1) {
    slider.max = String(steps.length - 1);
    choose(steps.length - 1);
    slider.addEventListener("input", () => {
      pause();
      choose(Number(slider.value));
    });
    play.addEventListener("click", () => (playing ? pause() : start()));
  }
  dark.addEventListener("change", refreshSeen);
  const observer = new IntersectionObserver(
    (entries) =>
      entries.forEach(({ target, isIntersecting }) => {
        const picture = pictures.find(({ section }) => section === target);
        picture.seen = isIntersecting;
        if (isIntersecting) refresh(picture);
      }),
    { rootMargin: "200px" },
  );
  pictures.forEach(({ section }) => observer.observe(section));
})();

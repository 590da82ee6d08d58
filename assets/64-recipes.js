// The gallery of recipes: their pictures, the forms of their settings, and what starts them.
landscope.recipes = (() => {
  const { view, find, element, setText } = landscope;
  const NONE = { displayModeBar: false, staticPlot: true, responsive: true };
  const MOST_LABELS = 3; // for which a card has room
  const pictured = new Map(); // recipe -> theme of its picture
  const chosen = new Map(); // recipe -> { setting: value } that differ from the usual
  let known = null, // recipe -> settings
    readOnly = false,
    starting = false;

  const say = (name, text) => setText(find(`[data-starting="${name}"]`), text);

  const draw = async (place) => {
    const name = place.dataset.picture,
      theme = landscope.theme.name();
    if (pictured.get(name) === theme) return;
    pictured.set(name, theme);
    try {
      const { figure } = await landscope.api.recipePicture(name, theme);
      if (!figure) return;
      const { title, ...layout } = figure.layout;
      const axis = (one) => one && { ...one, title: { ...one.title, font: { size: 10 } }, tickfont: { size: 9 }, nticks: 5 };
      const axes = Object.fromEntries(
        Object.entries(layout).map(([key, value]) => [key, /^[xy]axis\d*$/.test(key) ? axis(value) : value]),
      );
      const margin = { l: 44, r: 8, t: 20, b: 30 };
      const legend = { ...layout.legend, font: { size: 9 } };
      const few = figure.data.filter(({ showlegend }) => showlegend !== false).length <= MOST_LABELS;
      const showlegend = few && layout.showlegend !== false;
      await Plotly.react(place, figure.data, { ...axes, margin, legend, showlegend, autosize: true }, NONE);
    } catch (error) {
      pictured.delete(name);
      console.warn(`the picture of ${name} could not be had: ${error.message}`);
    }
  };

  const control = (recipe, spec) => {
    const held = chosen.get(recipe);
    const label = spec.name.replaceAll("_", " ");
    const id = `setting-${recipe}-${spec.name}`;
    if (spec.options) {
      const options = spec.options.map((value) => element("option", { value, text: value }));
      const select = element("select", { className: "select", id, "aria-describedby": `${id}-words` }, options);
      select.value = held[spec.name] ?? spec.default;
      select.addEventListener("change", () => {
        held[spec.name] = select.value;
      });
      return element("div", { className: "knob" }, [
        element("label", { for: id, text: label.charAt(0).toUpperCase() + label.slice(1) }),
        select,
        element("p", { className: "words", id: `${id}-words`, text: spec.words }),
      ]);
    }
    const scale = spec.log ? "log" : "linear";
    const knob = { name: id, low: spec.low, high: spec.high, label, summary: spec.words, scale, whole: spec.kind === "int" };
    const made = landscope.knobs.make(knob, id, (value) => {
      const whole = spec.kind === "int" ? Math.round(value) : value;
      held[spec.name] = Math.min(Math.max(whole, spec.low), spec.high);
      landscope.knobs.fill(made, knob, held[spec.name]);
    });
    landscope.knobs.fill(made, knob, held[spec.name] ?? spec.default);
    return made.row;
  };
  const form = (name) => {
    const place = find(`[data-settings="${name}"]`);
    const sizes = element("div", { className: "row" });
    const size = (text, key) => {
      const button = element("button", { type: "button", className: "button", text });
      button.addEventListener("click", () => {
        chosen.set(
          name,
          key === "full" ? Object.fromEntries(known[name].map((spec) => [spec.name, spec.full])) : {},
        );
        form(name);
      });
      return button;
    };
    sizes.append(size("Usual size", "default"), size("Full size, for a GPU", "full"));
    place.replaceChildren(sizes, ...known[name].map((spec) => control(name, spec)));
  };
  const settle = async (name) => {
    if (!chosen.has(name)) chosen.set(name, {});
    const place = find(`[data-settings="${name}"]`);
    if (place.childElementCount) return;
    place.replaceChildren(element("p", { className: "words", text: "loading" }));
    try {
      known ||= (await landscope.api.recipeSettings()).settings;
      form(name);
    } catch (error) {
      place.replaceChildren();
      say(name, `The settings could not be read: ${error.message}`);
    }
  };

  const start = async (button) => {
    const name = button.closest("[data-recipe]").dataset.recipe;
    if (readOnly || starting) return;
    starting = true;
    button.disabled = true;
    say(name, "Starting …");
    try {
      const { run } = await landscope.api.startRecipe(name, chosen.get(name) || {});
      say(name, "");
      if (view.state.page === "recipes") view.go(`/run/${encodeURIComponent(run)}`);
    } catch (error) {
      say(name, `It could not be started: ${error.message}`);
    } finally {
      starting = false;
      button.disabled = false;
    }
  };
  const show = () => {
    if (view.state.page !== "recipes" || !find("#recipes-page")) return;
    document.querySelectorAll("[data-picture]").forEach(draw);
  };
  const mount = (only) => {
    readOnly = only;
    document.querySelectorAll(".card-settings").forEach((details) =>
      details.addEventListener("toggle", () => {
        if (details.open) settle(details.closest("[data-recipe]").dataset.recipe);
      }),
    );
    show();
  };
  ["route", "theme"].forEach((event) => landscope.on(event, show));
  return { mount, start };
})();

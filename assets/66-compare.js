// Runs side by side: which runs, what is chosen, and when the server is asked again. All of it is in the address.
landscope.compare = (() => {
  const { view, find, setText } = landscope;
  const LIVE_MS = 2000,
    REST_MS = 6000;
  const PLANES = ["random", "trajectory", "hessian", "gradient"];
  const MOST = 12;
  const state = { runs: [], step: null, x: "linear", plane: PLANES[0], bands: "yes", first: "0", second: "1" };
  const USUAL = { x: "linear", plane: PLANES[0], bands: "yes", first: "0", second: "1" };
  let data = null, // what the server says of the runs
    asking = false,
    again = false,
    timer = null;

  const here = () => view.state.page === "compare";
  const read = () => {
    const query = new URLSearchParams(location.search);
    const among = (key, values) => (values.includes(query.get(key)) ? query.get(key) : USUAL[key]);
    state.runs = [...new Set((query.get("runs") || "").split(",").filter(Boolean))];
    state.step = /^\d{1,15}$/.test(query.get("step") ?? "") ? Number(query.get("step")) : null;
    state.x = among("x", ["linear", "log"]);
    state.plane = among("plane", PLANES);
    state.bands = among("bands", ["yes", "deciles", "no"]);
    const places = state.runs.map((_, index) => String(index));
    state.first = among("first", places);
    state.second = among("second", places);
  };
  const address = (runs = state.runs) => {
    const query = new URLSearchParams({ runs: runs.join() });
    if (state.step !== null) query.set("step", String(state.step));
    Object.entries(USUAL).forEach(([key, usual]) => {
      const lost = ["first", "second"].includes(key) && Number(state[key]) >= runs.length;
      if (state[key] !== usual && !lost) query.set(key, state[key]);
    });
    return `/compare?${query.toString().replaceAll("%2C", ",")}`;
  };
  // Browsers refuse more than some 100 changes of the address in half a minute.
  let pending = null;
  const set = (changes) => {
    Object.assign(state, changes);
    clearTimeout(pending);
    pending = setTimeout(() => {
      if (here()) history.replaceState(history.state, "", address());
    }, 200);
    landscope.emit("compare", data);
    ask();
  };

  const present = () => state.runs.filter((id) => !data?.gone.includes(id));
  const query = (more = {}) =>
    new URLSearchParams({ runs: present().join(), ...more }).toString().replaceAll("%2C", ",");
  // One question at a time; what is chosen meanwhile is asked for next.
  const ask = async () => {
    if (asking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    if (!here() || document.hidden) {
      timer = here() ? setTimeout(ask, LIVE_MS) : null;
      return;
    }
    asking = true;
    const asked = state.runs.join();
    let pause = REST_MS;
    try {
      if (state.runs.length > 1) {
        const step = state.step === null ? {} : { step: state.step };
        const runs = new URLSearchParams({ runs: asked, plane: state.plane, ...step }).toString();
        const found = await landscope.api.compare(runs);
        if (asked === state.runs.join()) {
          data = found;
          setText(find("#compare-note"), said());
          if (found.runs.some(({ status }) => ["running", "paused"].includes(status))) pause = LIVE_MS;
        }
      } else data = null;
      landscope.emit("compare", data);
    } catch (error) {
      setText(find("#compare-note"), error.message);
    }
    asking = false;
    timer = setTimeout(ask, again ? 0 : pause);
    again = false;
  };
  const said = () => {
    const gone = data.gone.length ? `No longer there: ${data.gone.join(", ")}.` : "";
    return data.runs.length > 1 ? gone : `${gone} Fewer than two runs are left to compare.`.trim();
  };

  const route = () => {
    if (!here()) return;
    data = null;
    read();
    setText(find("#compare-note"), "");
    landscope.emit("compare", null);
    ask();
  };
  const shownStep = () => (data === null ? 0 : state.step === null ? data.common : Math.min(state.step, data.last));
  const remove = (id) => view.go(address(state.runs.filter((other) => other !== id)));
  const open = (ids) => view.go(`/compare?runs=${ids.map(encodeURIComponent).join()}`);
  // The same with the reference of a recipe that is among them, if it is not there yet.
  const withReference = () => {
    const missing = (data?.references || []).filter((id) => !state.runs.includes(id));
    return missing.length && state.runs.length < MOST ? address([...state.runs, missing[0]]) : null;
  };
  // The list of runs, with these ticked.
  const listWith = (ids) => `/?ticked=${ids.map(encodeURIComponent).join()}`;
  landscope.on("run", (id) => {
    if (id !== null) find("#compare-with").setAttribute("href", listWith([id]));
  });
  landscope.on("compare", () => {
    find("#compare-others")?.setAttribute("href", listWith(state.runs));
    const link = find("#compare-reference"),
      path = withReference();
    if (!link) return;
    link.hidden = path === null;
    if (path !== null) link.setAttribute("href", path);
  });
  landscope.on("route", route);
  return { MOST, state, set, query, shownStep, remove, open, here, route, data: () => data };
})();

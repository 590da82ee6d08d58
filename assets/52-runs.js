// The list of runs, and the picker in the header. Names are anybody's: text, never markup.
landscope.runs = (() => {
  const { view, find, setText, element } = landscope;
  const EVERY_MS = 3000;
  let listed = [],
    pickerKey = "";

  const when = (iso) => {
    const then = new Date(iso);
    if (Number.isNaN(then.getTime())) return "";
    return landscope.format.age(Math.max((Date.now() - then.getTime()) / 1000, 0)).replace(".0 s", " s");
  };
  const pill = (status) => {
    const made = element("span", { className: "pill", text: status === "running" ? "live" : status });
    made.dataset.status = status;
    return made;
  };
  const row = (run) => {
    const path = `/run/${encodeURIComponent(run.id)}`;
    const name = element("a", { text: run.name || run.id, href: path, "data-route": path, title: run.id });
    const cells = run.error
      ? [pill("unreadable"), element("span", { text: run.id }), "", "", element("span", { text: run.error }), ""]
      : [pill(run.status), name, run.recipe || "", steps(run), run.finding || "", when(run.created)];
    return element(
      "tr",
      {},
      cells.map((cell, index) => element("td", { className: `column-${index}` }, [cell])),
    );
  };
  const steps = ({ step, total }) => {
    const { whole } = landscope.format;
    return total ? `${whole(step || 0)} / ${whole(total)}` : whole(step || 0);
  };
  const list = () => {
    find("#runs-empty").hidden = listed.length > 0;
    find("#runs-table").hidden = listed.length === 0;
    const live = listed.filter(({ status }) => status === "running").length;
    setText(
      find("#runs-note"),
      listed.length ? `${listed.length} ${listed.length === 1 ? "run" : "runs"}, ${live} live, newest first` : "",
    );
    const body = find("#runs-body");
    const focused = document.activeElement?.getAttribute?.("href");
    body.replaceChildren(...listed.map(row));
    if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  };
  const picker = () => {
    const data = listed
      .filter(({ error }) => !error)
      .map(({ id, name, status }) => ({
        value: id,
        label: `${name || id}  ·  ${id.slice(0, 15)}${status === "running" ? "  ·  live" : ""}`,
      }));
    const chosen = landscope.run.data.id;
    const key = JSON.stringify([data, chosen]);
    if (key === pickerKey || !window.dash_clientside.set_props) return;
    pickerKey = key;
    window.dash_clientside.set_props("run-picker", { data, value: chosen });
  };
  const update = async () => {
    if (document.hidden) return;
    try {
      listed = (await landscope.api.runs()).runs;
      landscope.emit("runs", listed);
      if (view.state.page === "runs") list();
      if (view.state.run === null) landscope.emit("connection", null);
      picker();
    } catch (error) {
      if (view.state.run === null) landscope.emit("connection", error);
    }
  };
  const mount = () => {
    update();
    setInterval(update, EVERY_MS);
  };
  landscope.on("route", update);
  landscope.on("run", picker);
  return { mount, all: () => listed };
})();

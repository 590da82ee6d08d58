// The picture of a job over the panels, as landscope.figures draws it; coarse pictures are replaced by finer ones.
landscope.result = (() => {
  const { run, view, find, setText, format } = landscope;
  let drawn = "", // run, frame and theme of the picture
    wanted = "";

  const job = () => landscope.jobs.all().find((one) => String(one.job) === view.state.job) || null;
  const close = () => view.set({ job: "" });
  const graph = () => find("#result-graph");
  const note = (text) => {
    const place = find("#result-note");
    place.hidden = !text;
    setText(place, text);
  };
  const clear = () => {
    wanted = "";
    if (!drawn) return;
    drawn = "";
    Plotly.purge(graph());
  };
  const words = (one) => {
    if (!run.data.loaded) return "loading";
    if (!one) return `There is no job ${view.state.job} in this run.`;
    if (one.state === "failed") return one.text;
    return one.state === "cancelled" ? "It was cancelled before there was anything to show." : "Nothing to show yet.";
  };
  const show = () => {
    const place = find("#result");
    if (!place) return;
    const open = view.state.run !== null && view.state.job !== "";
    place.hidden = !open;
    if (!open) {
      clear();
      return;
    }
    const one = job(),
      frames = one && run.data.frames.get(landscope.jobs.frameOf(one));
    if (!frames?.seq.length) {
      clear();
      setText(find("#result-title"), one ? one.what : "");
      setText(find("#result-words"), "");
      setText(find("#result-code"), "");
      note(words(one));
      return;
    }
    const last = frames.seq.length - 1,
      theme = landscope.theme.name();
    setText(find("#result-title"), one.examples ? `${one.what} of ${one.examples}` : one.what);
    const where = one.remark || `step ${format.whole(frames.step[last])}`;
    setText(find("#result-words"), `${where} · job ${one.job} · ${one.state}`);
    draw(frames.seq[last], theme);
  };
  const draw = async (seq, theme) => {
    const key = `${run.data.id}/${seq}/${theme}`;
    if (key === wanted) return;
    wanted = key;
    if (!drawn) note("drawing");
    try {
      const { figure, config, code } = await landscope.api.figure(run.data.id, seq, theme);
      if (key !== wanted) return;
      const { width, height, ...layout } = figure.layout;
      await Plotly.react(graph(), figure.data, { ...layout, autosize: true }, config);
      drawn = key;
      setText(find("#result-code"), code);
      note("");
    } catch (error) {
      if (key === wanted) note(`It cannot be drawn: ${error.message}`);
    }
  };
  ["data", "run", "route", "theme"].forEach((event) => landscope.on(event, show));
  landscope.on("view", (changed) => {
    if (changed.has("job")) show();
  });
  return { close };
})();

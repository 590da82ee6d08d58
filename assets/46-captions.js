// The texts around a graph: what is awaited, what was switched off, where its numbers come from, and its legend.
landscope.captions = (() => {
  const { run, setText, element } = landscope;
  const PLANES = {
    "slice/trajectory": "the plane of the trajectory",
    "slice/hessian": "the plane of the Hessian's leading eigenvectors",
    "slice/gradient": "the plane of the gradient and the optimiser's update",
  };

  const waiting = (entry, wanted) => {
    const { data } = run;
    if (data.missing) return "nothing to show";
    if (!data.loaded) return "loading";
    const name = entry.drawer ? entry.frameName() : null;
    const known = name && data.frames.get(name);
    if (known && known.step.length) {
      const first = known.step[0];
      return wanted ? "loading" : `first measured at step ${landscope.format.whole(first)}`;
    }
    const off = switchedOff(entry);
    if (off) return "no measurement";
    if (landscope.view.state.plane === "asked" && entry.panel.name === "landscape")
      return "no plane was measured on demand in this run";
    const over = data.head && !["running", "paused"].includes(data.head.status);
    if (over) return "not measured in this run";
    const what = PLANES[name] || entry.view.subject;
    return `measuring ${what} …`;
  };
  const switchedOff = (entry) => {
    const probes = entry.drawer?.frameName ? [entry.frameName()] : entry.view.probes;
    const event = run.data.events.findLast(
      ({ kind, data }) => kind === "probe-off" && data && probes.includes(data.probe),
    );
    return event ? `switched off at step ${landscope.format.whole(event.step)}: ${event.text}` : "";
  };
  const provenance = (entry, measurement) => {
    const { provenance: from } = measurement,
      { whole, seconds } = landscope.format;
    const { residual, intrinsic_low: low, intrinsic_high: high } = measurement;
    const extra = entry.drawer ? entry.drawer.details(measurement) : [];
    if (Number.isFinite(residual)) extra.push(`residual ${landscope.format.number(residual, 2)}`);
    const interval = Number.isFinite(low) && entry.view.series.some(({ name }) => name.endsWith("/intrinsic"));
    return [
      from.step === null ? "" : `step ${whole(from.step)}`,
      interval ? `TwoNN ${landscope.format.number(low, 2)} to ${landscope.format.number(high, 2)} (95 %)` : "",
      from.seconds ? seconds(from.seconds) : "",
      from.examples ? `${whole(from.examples)} ${from.split ? `${from.split} ` : ""}examples` : "",
      ...extra,
      from.method,
      from.device === "cpu" ? "" : from.device,
      from.background ? "in the background" : "",
    ]
      .filter(Boolean)
      .join(" · ");
  };
  const points = (entry) => {
    const line = entry.view.series
      .map(({ name }) => run.data.scalars.get(name))
      .filter(Boolean)
      .sort((a, b) => b.step.length - a.step.length)[0];
    if (!line || !line.step.length) return "";
    const index = landscope.lastAtOrBelow(line.step, run.shownStep());
    const shown = index < 0 ? "" : `step ${landscope.format.whole(line.step[index])} · `;
    return `${shown}${landscope.format.whole(line.step.length)} ${line.step.length === 1 ? "point" : "points"}`;
  };
  const legend = (place, items) => {
    const key = items.map(({ label, swatch, dash }) => [label, swatch, dash].join("|")).join("/");
    if (place.dataset.key !== key) {
      place.dataset.key = key;
      place.replaceChildren(
        ...items.map(({ label, swatch, dash, faint, dot, gradient, after }) => {
          const kinds = { dot, gradient, faint, dashed: dash && dash !== "solid" };
          const mark = element("span", {
            className: ["swatch", ...Object.keys(kinds).filter((kind) => kinds[kind])].join(" "),
          });
          if (swatch) mark.style.setProperty("--swatch", swatch);
          else mark.hidden = true;
          const words = [
            element("span", { className: "label", text: label }),
            " ",
            element("span", { className: "value" }),
          ];
          return element("span", { className: "entry" }, [mark, ...(after ? words.reverse() : words)]);
        }),
      );
    }
    items.forEach(({ value }, index) => setText(place.children[index].querySelector(".value"), value));
  };

  return { waiting, switchedOff, provenance, points, legend };
})();

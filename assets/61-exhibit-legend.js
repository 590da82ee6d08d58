// The legend of an exhibit, above its graph like those of the panels: it takes less room than plotly's own.
landscope.exhibitLegend = (() => {
  const { element } = landscope;
  const DRAWN = ["scatter", "bar"];

  // One entry for each line, with its band; of a single line there is none.
  const entriesOf = ({ data, layout }) => {
    const named = data.filter(({ type, name, showlegend }) => DRAWN.includes(type || "scatter") && name && showlegend !== false);
    if (!(layout.showlegend ?? named.length > 1)) return [];
    return named.map(({ name, legendgroup, mode, line, marker, fill, fillcolor, type }) => ({
      label: name,
      group: legendgroup || name,
      colour: fill && fillcolor ? fillcolor : (mode === "markers" || type === "bar" ? marker : line)?.color,
      dash: line?.dash && line.dash !== "solid" && mode !== "markers" ? line.dash : "",
      dot: mode === "markers" || type === "bar" || Boolean(fill),
    }));
  };
  const groupOf = ({ name, legendgroup }) => legendgroup || name;

  // Draws the entries; `hidden` holds the groups that were clicked away, `changed` is called upon a click.
  const show = (place, entries, hidden, changed) => {
    const key = JSON.stringify([entries, [...hidden]]);
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    place.replaceChildren(
      ...entries.map(({ label, group, colour, dash, dot }) => {
        const swatch = element("span", { className: `swatch${dot ? " dot" : dash ? ` dashed line-${dash}` : ""}` });
        if (typeof colour === "string") swatch.style.setProperty("--swatch", colour);
        const made = element("button", { type: "button", className: "entry" }, [
          swatch,
          element("span", { className: "label", text: label }),
        ]);
        made.setAttribute("aria-pressed", String(!hidden.has(group)));
        made.addEventListener("click", () => {
          if (!hidden.delete(group)) hidden.add(group);
          changed();
        });
        return made;
      }),
    );
  };
  // Entries in rows of a width, with the place of each: for pictures, which have no page around them.
  const SWATCH = 40,
    LETTER = 6.2; // pixels
  const rows = (entries, width) => {
    const found = [];
    let at = Infinity;
    entries.forEach((entry) => {
      const wide = SWATCH + LETTER * entry.label.length;
      if (at + wide > width) {
        found.push([]);
        at = 0;
      }
      found.at(-1).push({ ...entry, at });
      at += wide;
    });
    return found;
  };
  const visible = (data, hidden) =>
    data.map((trace) => (hidden.has(groupOf(trace)) ? { ...trace, visible: false } : trace));
  return { entriesOf, show, rows, visible };
})();

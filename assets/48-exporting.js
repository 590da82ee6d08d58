// What a panel shows as files: images made here, numbers and pages by the server; and a report of the whole run.
landscope.exporting = (() => {
  const { run, find, element, setText, format } = landscope;
  const WIDTH = 300; // pixels, of the menu
  const SHARP = 3; // pixels of a PNG for each one on the screen
  const HEAD = 46,
    LEGEND = 22; // pixels for title and each row of the legend, which on the page are beside the graph
  let menu = null,
    tables = [],
    opener = null;

  // What is to be had of a panel now: its graph, and the measurement that is drawn, with its kind; null before anything.
  const subjectOf = (section) => {
    const title = section.querySelector("h2").textContent;
    const exhibit = landscope.exhibits.of(section);
    if (exhibit) {
      const { graph, drawn, seq, step, kind, name, hidden } = exhibit;
      const entries = exhibit.entries?.filter(({ group }) => !hidden.has(group));
      return drawn ? { title, name, graph, entries, lines: [], frame: { seq, step, kind } } : null;
    }
    const entry = [...landscope.panels.all.values()].find(({ panel }) => section.id === `panel-${panel.name}`);
    if (!entry || entry.pictured !== entry.view) return null;
    const { shown, panel, graph, drawer } = entry;
    const lines = drawer ? [] : landscope.series.names(entry.view, shown?.found);
    const frame = shown && { seq: shown.seq, step: shown.found.provenance.step, kind: shown.found.kind };
    const label = panel.views.length > 1 ? `: ${entry.view.label}` : "";
    const view = `${panel.name}/${entry.view.name}`;
    return { title: title + label, name: view.replace("/", "-"), view, graph, lines, frame };
  };

  // Plotly reads some tags in texts, and names of runs are anybody's.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  // The legend of an exhibit above its graph, in rows: plotly's own would fill half of the picture.
  const written = (rows, left, top) =>
    rows.flatMap((row, index) =>
      row.map(({ label, colour, dash, dot, at }) => ({
        text: `<span style="color:${colour}">${dot ? "●" : dash ? "╌╌" : "━━"}</span> ${plain(label)}`,
        font: { size: 11 },
        showarrow: false,
        x: 0,
        xref: "paper",
        xanchor: "left",
        xshift: at + 10 - left,
        y: 1,
        yref: "paper",
        yanchor: "bottom",
        yshift: top + LEGEND * (rows.length - 1 - index),
      })),
    );
  // A copy of the graph with its title, and what lies on a canvas behind it as marks of its own.
  const pictureOf = (subject) => {
    const { graph, lines } = subject,
      { _fullLayout: full } = graph,
      { colours } = landscope.looks[landscope.theme.name()],
      dots = landscope.cloud.dots(graph);
    const { l, r, t, b } = full._size; // with what the legend has taken
    const rows = landscope.exhibitLegend.rows(subject.entries || [], full.width - 20);
    const head = HEAD + LEGEND * (lines.length > 1 ? 1 : rows.length);
    const step = subject.frame?.step ?? run.shownStep();
    const small = `${plain(run.data.id ?? "")}, step ${format.whole(step)}`;
    const layout = {
      ...graph.layout,
      autosize: false,
      width: full.width,
      height: full.height + head,
      margin: { l, r, t: t + head, b },
      paper_bgcolor: colours.surface,
      plot_bgcolor: colours.surface,
      title: {
        text: `${plain(subject.title)}<br><span style="font-size:11px">${small}</span>`,
        font: { size: 14 },
        x: 0,
        xref: "container",
        xanchor: "left",
        y: 1,
        yref: "container",
        yanchor: "top",
        pad: { l: 10, t: 18 },
      },
      ...(rows.length ? { annotations: [...(graph.layout.annotations || []), ...written(rows, l, t)] } : {}),
      ...(lines.length > 1
        ? { showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 11 } } }
        : {}),
    };
    const scene = full.scene?._scene;
    if (scene) layout.scene = { ...graph.layout.scene, camera: scene.getCamera() };
    const traces = lines.length
      ? graph.data.map((trace) => ({ ...trace, showlegend: trace.fill !== "toself" }))
      : [...graph.data];
    if (dots)
      traces.push({
        type: "scatter",
        mode: "markers",
        x: Array.from(dots.x),
        y: Array.from(dots.y),
        marker: {
          size: 2 * dots.radius,
          color: dots.colour,
          opacity: dots.opacity,
          symbol: dots.symbol.map((mark) => (mark === "x" ? "x" : "circle")),
        },
        showlegend: false,
      });
    return { data: traces, layout };
  };

  const nameOf = (subject, form) =>
    `${run.data.id}-${subject.name}-step-${subject.frame?.step ?? run.shownStep()}`.replace(/[^\w.-]+/g, "-") + form;
  const save = (blob, name) => {
    const address = URL.createObjectURL(blob);
    element("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  };
  const image = async (subject, form) => {
    const picture = pictureOf(subject);
    const { width, height } = picture.layout;
    const scale = form === "png" ? SHARP : 1;
    const url = await Plotly.toImage(picture, { format: form, width, height, scale });
    const text = url.slice(url.indexOf(",") + 1);
    const bytes = form === "png" ? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)) : decodeURIComponent(text);
    save(new Blob([bytes], { type: form === "png" ? "image/png" : "image/svg+xml" }), nameOf(subject, `.${form}`));
  };
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csvOfLines = (names) => {
    const rows = names.flatMap((name) => {
      const { step, value } = run.data.scalars.get(name);
      return step.map((at, index) => `${quoted(name)},${at},${value[index] ?? "nan"}`);
    });
    return ["name,step,value", ...rows, ""].join("\r\n");
  };
  const file = async (subject, form) =>
    save(await landscope.api.file(run.data.id, `frames/${subject.frame.seq}${form}`), nameOf(subject, form));

  const linePage = async (subject) => {
    const query = new URLSearchParams([["x", landscope.view.state.x], ...subject.lines.map((name) => ["line", name])]);
    save(await landscope.api.file(run.data.id, `lines/${subject.view}.html?${query}`), nameOf(subject, ".html"));
  };

  // Each with what it is, and why it is not to be had where it is not.
  const choices = (subject) => {
    const { lines, frame, graph } = subject,
      scene = Boolean(graph._fullLayout.scene);
    const at = frame && frame.step !== null ? ` at step ${format.whole(frame.step)}` : "";
    const table = lines.length || tables.includes(frame?.kind);
    return [
      ["PNG", "the picture, at three times its size here", "", () => image(subject, "png")],
      [
        "SVG",
        scene ? "a vector image, but the scene in it is a PNG" : "the picture as a vector image",
        "",
        () => image(subject, "svg"),
      ],
      [
        "CSV",
        lines.length ? "the lines: name, step, value" : `the table of the measurement${at}`,
        table ? "" : "this measurement is no table: take the NPZ",
        () =>
          lines.length
            ? save(new Blob([csvOfLines(lines)], { type: "text/csv" }), nameOf(subject, ".csv"))
            : file(subject, ".csv"),
      ],
      [
        "NPZ",
        `${lines.length ? "the measurement behind the newest points" : "all arrays of the measurement"}${at}`,
        frame ? "" : "these lines have no arrays behind them: take the CSV",
        () => file(subject, ".npz"),
      ],
      [
        "HTML",
        lines.length ? "a page with the lines" : `a page with the figure of the measurement${at}`,
        lines.length || frame ? "" : "there is no measurement to draw",
        () => (lines.length ? linePage(subject) : file(subject, ".html")),
      ],
    ];
  };

  const item = ([name, words, reason, act]) => {
    const made = element("button", { type: "button", className: "button" }, [
      element("b", { text: name }),
      element("span", { text: reason || words }),
    ]);
    if (reason) made.setAttribute("aria-disabled", "true");
    made.addEventListener("click", async () => {
      if (reason || made.disabled) return;
      made.disabled = true;
      setText(made.lastChild, "writing …");
      try {
        await act();
        if (menu.matches(":popover-open")) menu.hidePopover();
      } catch (error) {
        setText(made.lastChild, `It could not be written: ${error.message}`);
      }
      made.disabled = false;
    });
    return element("li", {}, [made]);
  };
  const open = (button) => {
    const section = button.closest(".panel"),
      subject = subjectOf(section);
    opener = button;
    menu.replaceChildren(
      element("h3", { text: `Export: ${section.querySelector("h2").textContent}` }),
      subject
        ? element("ul", {}, choices(subject).map(item))
        : element("p", { className: "words", text: "There is nothing to export yet." }),
    );
    const { right, top, bottom } = button.getBoundingClientRect();
    const above = top > window.innerHeight / 2;
    menu.style.top = above ? "auto" : `${bottom + 4}px`;
    menu.style.bottom = above ? `${window.innerHeight - top + 4}px` : "auto";
    menu.style.left = `${Math.max(Math.min(right - WIDTH, window.innerWidth - WIDTH - 8), 8)}px`;
    menu.showPopover();
    menu.querySelector("button")?.focus();
  };
  const moved = (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!steps) return;
    event.preventDefault();
    const buttons = [...menu.querySelectorAll("button")];
    buttons.at((buttons.indexOf(document.activeElement) + steps) % buttons.length)?.focus();
  };

  const button = (name) => landscope.quietButton("export", "export", `Export: ${name}`);

  const report = async (asked) => {
    const words = find("#report-words"),
      id = run.data.id;
    if (asked.disabled || !id) return;
    asked.disabled = true;
    setText(words, "writing the report …");
    try {
      save(await landscope.api.file(id, "report.html"), `${id}.html`);
      setText(words, "");
    } catch (error) {
      setText(words, `no report: ${error.message}`);
    }
    asked.disabled = false;
  };
  const mount = (kinds) => {
    tables = kinds;
    menu = element("div", { id: "export-menu", className: "checks export-menu", popover: "auto", role: "dialog" });
    menu.setAttribute("aria-label", "Export");
    menu.addEventListener("keydown", moved);
    menu.addEventListener("toggle", ({ newState }) => {
      if (newState === "closed" && (!document.activeElement || document.activeElement === document.body)) opener?.focus();
    });
    document.body.append(menu);
  };
  ["run", "route"].forEach((event) =>
    landscope.on(event, () => {
      if (menu?.matches(":popover-open")) menu.hidePopover();
    }),
  );
  return { mount, open, button, report };
})();

// A table above a graph: { columns, rows } of texts; a cell may be { text, title, className } as well.
landscope.tables = (() => {
  const { element } = landscope;

  const cellOf = (tag, cell, attributes = {}) => {
    const { text, ...rest } = typeof cell === "object" ? cell : { text: cell };
    return element(tag, { text, ...attributes, ...rest });
  };
  const show = (place, table) => {
    place.hidden = !table;
    const key = JSON.stringify(table);
    if (!table || place.dataset.key === key) return;
    place.dataset.key = key;
    const head = table.columns.map((column) => cellOf("th", column, { scope: "col" }));
    const rows = table.rows.map((cells) =>
      element(
        "tr",
        {},
        cells.map((cell, index) => (index ? cellOf("td", cell) : cellOf("th", cell, { scope: "row" }))),
      ),
    );
    place.replaceChildren(
      element("table", {}, [element("thead", {}, [element("tr", {}, head)]), element("tbody", {}, rows)]),
    );
  };
  return { show };
})();

// Light or dark. Runs in the head, before anything is painted, and again with the other scripts.
window.landscope = window.landscope || {};

landscope.theme =
  landscope.theme ||
  (() => {
    const KEY = "landscope-theme";
    const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
    const stored = () => {
      try {
        return localStorage.getItem(KEY);
      } catch {
        return null;
      } // storage may be forbidden
    };
    const name = () => {
      const chosen = stored();
      return chosen === "light" || chosen === "dark" ? chosen : prefersDark.matches ? "dark" : "light";
    };
    const apply = () => {
      document.documentElement.setAttribute("data-mantine-color-scheme", name());
      window.dash_clientside?.set_props?.("mantine", { forceColorScheme: name() });
      landscope.emit?.("theme", name());
    };
    const toggle = () => {
      try {
        localStorage.setItem(KEY, name() === "dark" ? "light" : "dark");
      } catch {
        /* it holds for this page */
      }
      apply();
    };
    prefersDark.addEventListener("change", apply);
    apply();
    return { name, apply, toggle };
  })();

// Numbers as people read them.
landscope.format = (() => {
  const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const power = (exponent) => "10" + [...String(exponent)].map((digit) => SUPERSCRIPT[digit]).join("");

  // Three significant digits; powers of ten outside 0.001 to 10,000.
  const number = (value, digits = 3) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "not finite";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (value === 0) return "0";
    const size = Math.abs(value),
      sign = value < 0 ? "−" : "";
    if (size >= 1e-3 && size < 1e4) {
      const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
      return sign + size.toFixed(Math.min(decimals, 6));
    }
    const exponent = Math.floor(Math.log10(size) + 1e-12);
    const lead = (size / 10 ** exponent).toFixed(digits - 1);
    return `${sign}${lead}·${power(exponent)}`;
  };
  // For ticks: no trailing zeros, and bare powers of ten.
  const tick = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value),
      sign = value < 0 ? "−" : "";
    if (size >= 1e-3 && size < 1e4) return sign + String(Number(size.toPrecision(3)));
    const exponent = Math.floor(Math.log10(size) + 1e-12);
    const lead = Number((size / 10 ** exponent).toPrecision(2));
    return sign + (lead === 1 ? power(exponent) : `${lead}·${power(exponent)}`);
  };
  const whole = (value) => Math.round(value).toLocaleString("en-GB");
  const share = (value) => `${(100 * value).toFixed(value > 0.995 && value < 1 ? 1 : 0)} %`;
  const seconds = (value) => {
    if (value < 0.0095) return `${number(1000 * value, 2)} ms`;
    if (value < 99.5) return `${value < 9.95 ? value.toFixed(value < 0.995 ? 2 : 1) : value.toFixed(0)} s`;
    if (value < 5400) return `${Math.round(value / 60)} min`;
    return value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} days`;
  };
  const age = (value) => (value < 9.95 ? `${value.toFixed(1)} s` : seconds(value)) + " ago";
  // The end of a long name, which says more than its beginning.
  const LONGEST = 11; // letters of a label
  const ending = (name) => (name.length > LONGEST ? `…${name.slice(1 - LONGEST)}` : name);
  return { number, tick, whole, share, seconds, age, ending };
})();

// Measurements as they are stored: 8 bytes of header length, a JSON header, little-endian arrays.
landscope.decodeMeasurement = (() => {
  const VIEWS = {
    F64: Float64Array,
    F32: Float32Array,
    I64: BigInt64Array,
    I32: Int32Array,
    I16: Int16Array,
    I8: Int8Array,
    U64: BigUint64Array,
    U32: Uint32Array,
    U16: Uint16Array,
    U8: Uint8Array,
    BOOL: Uint8Array,
  };
  const WORDS = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };
  const plain = (text) =>
    JSON.parse(text, (_, value) => (typeof value === "string" && value in WORDS ? WORDS[value] : value));

  // Returns { kind, provenance, and every field; arrays as { data, shape } with plain numbers }.
  return (buffer) => {
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const { kind, fields, provenance } = header.__metadata__;
    const measurement = { kind, provenance: plain(provenance), ...plain(fields) };
    Object.entries(header).forEach(([name, { dtype, shape, data_offsets: span }]) => {
      if (name === "__metadata__") return;
      const View = VIEWS[dtype];
      if (!View) throw new Error(`array ${name} has type ${dtype}, expected one of ${Object.keys(VIEWS).join(", ")}`);
      // A copy, as typed arrays must start at a multiple of their item's size and the file does not promise that.
      const bytes = buffer.slice(8 + length + span[0], 8 + length + span[1]);
      const view = new View(bytes);
      const data =
        view instanceof BigInt64Array || view instanceof BigUint64Array ? Float64Array.from(view, Number) : view;
      measurement[name] = { data, shape };
    });
    measurement.bytes = buffer.byteLength;
    return measurement;
  };
})();

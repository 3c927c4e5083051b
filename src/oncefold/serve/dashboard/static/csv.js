// Rows as CSV that a spreadsheet opens without computing anything: as the server's `form=csv-safe` writes them.

const QUOTED = /[",\r\n]|^\s|\s$/;
const FORMULA = /^[=+\-@\t\r]/;

function cell(value, isText) {
  if (value === null || value === undefined) return "";
  const text = isText && FORMULA.test(value) ? `'${value}` : String(value);
  return text === "" || QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// `columns` are { name, isText }, `rows` lists of values in their order.
export function csvText(columns, rows) {
  const lines = [columns.map(({ name }) => cell(name, true)), ...rows.map((row) => row.map((value, index) => cell(value, columns[index].isText)))];
  return lines.map((line) => `${line.join(",")}\n`).join("");
}

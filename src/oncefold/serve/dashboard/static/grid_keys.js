// What the keys do in the tree.

export function onKey(grid, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const at = grid.positions.get(grid.focused), line = grid.lines[at];
  if (!line) return;
  const go = (to) => grid.focus(grid.lines[Math.max(0, Math.min(grid.lines.length - 1, to))].path);
  const page = Math.max(1, Math.floor((innerHeight - grid.covered()) / grid.rowHeight) - 1);
  const actions = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => go(at - 1),
    PageDown: () => go(at + page),
    PageUp: () => go(at - page),
    Home: () => go(0),
    End: () => go(grid.lines.length - 1),
    ArrowRight: () => inward(grid, line, () => go(at + 1)),
    ArrowLeft: () => outward(grid, line),
    Enter: () => (line.kind === "node" ? grid.host.open(line.path) : line.kind !== "end" && grid.host.more(line.parent)),
    " ": () => (line.kind === "node" ? grid.tree.canOpen(line.path) && grid.host.toggle(line.path) : line.kind !== "end" && grid.host.more(line.parent)),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

// Opens a node; goes into one that is open.
function inward(grid, line, next) {
  if (line.kind !== "node" || !grid.tree.canOpen(line.path)) return;
  if (!grid.tree.open.has(line.path)) grid.host.toggle(line.path);
  else if (grid.lines[grid.positions.get(line.path) + 1]?.level > line.level) next();
}

// Closes a node; goes up from one that is closed.
function outward(grid, line) {
  if (line.kind === "node" && grid.tree.open.has(line.path)) grid.host.toggle(line.path);
  else if (line.parent !== grid.tree.top) grid.focus(line.parent);
}

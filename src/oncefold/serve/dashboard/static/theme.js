// Before anything is drawn: the colours that were chosen, if not those of the system.
(() => {
  const chosen = localStorage.getItem("oncefold-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

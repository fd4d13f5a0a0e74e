"use strict";
// The theme is set before anything is drawn: system (nothing set), light or dark.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* storage may be forbidden */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();

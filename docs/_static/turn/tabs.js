// Tabs after the pattern of the ARIA authoring practices: arrow keys move between them.

export function startTabs(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const select = (chosen) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !selected;
    }
  };
  const neighbours = {
    ArrowRight: (place) => tabs[(place + 1) % tabs.length],
    ArrowLeft: (place) => tabs.at(place - 1),
    Home: () => tabs[0],
    End: () => tabs.at(-1),
  };
  for (const [place, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      if (!(event.key in neighbours)) return;
      event.preventDefault();
      const chosen = neighbours[event.key](place);
      select(chosen);
      chosen.focus();
    });
  }
  select(tabs.find((tab) => `#${tab.id}` === location.hash) ?? tabs[0]);
}

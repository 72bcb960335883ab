// The page's buttons and numbers. What it shows comes from the WebAssembly.
import load, { Page } from "./core.js";

/** How often the page changes, in milliseconds. */
const PACE = 250;
/** How many lines of news stay. */
const LINES = 8;
/** How many digits after the point; 0 if a number is not named here. */
const DIGITS = { left: 1, longestWait: 2 };

await load();
const play = new Page();
const found = (id) => document.getElementById(id);
const callers = play.callers().map((_, number) => {
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = number + 1;
    const fare = document.createElement("span");
    item.append(name, fare);
    found("callers").append(item);
    return { item, fare };
});

/** The issuer does one of these at a time. */
const MODES = ["works", "down", "hang", "garbage", "expired"];

function press(button) {
    const name = button.dataset.press;
    say(play.press(name));
    if (MODES.includes(name)) {
        for (const mode of MODES) {
            document.querySelector(`[data-press="${mode}"]`).setAttribute("aria-pressed", mode === name);
        }
    } else if (button.hasAttribute("aria-pressed")) {
        button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    }
    show();
}

function say(what) {
    found("said").textContent = `${what[0].toUpperCase()}${what.slice(1)}.`;
}

function show() {
    const numbers = play.numbers();
    for (const [name, number] of Object.entries(numbers)) {
        found(name).textContent = number.toFixed(DIGITS[name] ?? 0);
    }
    document.querySelector(".verdict").classList.toggle("broken", numbers.inSpite > 0);
    play.callers().forEach((fares, number) => {
        const { item, fare } = callers[number];
        item.dataset.fare = fares;
        fare.textContent = fares;
    });
    for (const line of play.news()) {
        const item = document.createElement("li");
        item.textContent = line;
        found("news").prepend(item);
    }
    while (found("news").children.length > LINES) {
        found("news").lastElementChild.remove();
    }
    if (found("pause").getAttribute("aria-pressed") === "false" && !document.hidden) {
        const picture = found("picture");
        picture.innerHTML = play.picture(picture.clientWidth);
    }
}

for (const button of document.querySelectorAll("[data-press]")) {
    button.addEventListener("click", () => press(button));
}
found("pause").addEventListener("click", ({ target }) => {
    target.setAttribute("aria-pressed", target.getAttribute("aria-pressed") !== "true");
});
say("the issuer works");
setInterval(show, PACE);
show();

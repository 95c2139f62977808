/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Search, sorting, and trees that fold. A table's rows are arrays of cells: a text, null where there is no such
 * thing, or [reason] where it is absent. Only those that are looked at become elements, and whatever was read
 * from the image becomes text nodes, never markup.
 */
(function () {
"use strict";

const FIRST = 200;      /* rows of a table that are shown at once */
const MORE = 1000;      /* that a click adds */
const PRINTED = 500;    /* that go to paper, or as many as are shown; thousands take a browser minutes */
const LONG = 240;       /* characters, past which a text scrolls */
const ESCAPE = /(\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\\[\+\d+ bytes\]|\\\\)/;

const number = new Intl.NumberFormat("en");

function element(name, properties, ...children) {
	const made = Object.assign(document.createElement(name), properties);
	made.append(...children);
	return made;
}

/* --- cells */

function readCell(cell) {
	if (cell.className === "none")
		return null;
	return cell.className === "absent" ? [cell.textContent] : cell.textContent;
}

function cellText(cell) {
	return cell === null ? "" : Array.isArray(cell) ? cell[0] : cell;
}

/* What was escaped stands out; a doubled backslash is a text's own. */
function fillText(target, text) {
	text.split(ESCAPE).forEach((part, index) => {
		if (index % 2 && part !== "\\\\")
			target.append(element("span", { className: "escape" }, part));
		else if (part)
			target.append(part);
	});
}

function makeCell(cell, column) {
	const made = element("td");
	made.dataset.label = column.name;
	made.setAttribute("role", "cell");
	if (cell === null) {
		made.className = "none";
		made.textContent = "\u2013";
	} else if (Array.isArray(cell)) {
		made.className = "absent";
		made.textContent = cell[0];
	} else if (cell.length > LONG) {
		made.className = column.kind;
		const box = element("div", { className: "long", tabIndex: 0 });
		box.setAttribute("role", "group");
		box.setAttribute("aria-label", column.name);
		fillText(box, cell);
		made.append(box);
	} else if (column.kind === "time" && cell.includes("T")) {
		/* Where a narrow column may break it. */
		const end = cell.indexOf("T") + 1;
		made.className = column.kind;
		made.append(element("span", {}, cell.slice(0, end)), element("span", {}, cell.slice(end)));
	} else {
		made.className = column.kind;
		fillText(made, cell);
	}
	return made;
}

/* --- order */

/* Of unsigned numbers of any length, in digits of one base. */
function compareDigits(a, b) {
	return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

function compareNumbers(a, b) {
	const isNegative = a.startsWith("-");
	if (isNegative !== b.startsWith("-"))
		return isNegative ? -1 : 1;
	return isNegative ? compareDigits(b, a) : compareDigits(a, b);
}

function compareTexts(a, b) {
	return a < b ? -1 : a > b ? 1 : 0;
}

const comparers = { number: compareNumbers, address: compareNumbers };

/* --- tables */

class Table {
	constructor(table) {
		this.table = table;
		this.body = table.tBodies[0];
		this.isTree = "tree" in table.dataset;
		this.columns = [...table.tHead.rows[0].cells].map((heading) => ({
			heading, name: heading.textContent, kind: heading.className,
		}));
		this.readRows();
		this.folded = new Set();
		this.sorted = -1;
		this.isDescending = false;
		this.words = [];
		this.limit = FIRST;
		this.setRoles();
		this.addControls();
		this.update();
	}

	readRows() {
		const rest = document.getElementById(this.table.id.replace("table-", "rest-"));
		this.rows = [...this.body.rows].map((row) => ({
			cells: [...row.cells].map(readCell),
			depth: Number(row.dataset.depth || 0),
		}));
		for (const cells of rest ? JSON.parse(rest.textContent) : []) {
			const depth = this.isTree ? cells.pop() : 0;
			this.rows.push({ cells, depth });
		}
		if (rest)
			rest.remove();
		if (this.isTree)
			this.connect();
	}

	/* Each row's parent, and whether it has children. */
	connect() {
		const path = [];
		for (const row of this.rows) {
			while (path.length && path[path.length - 1].depth >= row.depth)
				path.pop();
			row.parent = path[path.length - 1];
			if (row.parent)
				row.parent.hasChildren = true;
			path.push(row);
		}
	}

	/* A narrow screen shows rows as blocks, which must not make them less of a table. */
	setRoles() {
		this.table.setAttribute("role", "table");
		for (const part of [this.table.tHead, this.body])
			part.setAttribute("role", "rowgroup");
		this.table.tHead.rows[0].setAttribute("role", "row");
	}

	addControls() {
		this.columns.forEach((column, index) => {
			const button = element("button", { type: "button", title: column.heading.title });
			button.append(column.name);
			button.addEventListener("click", () => this.sort(index));
			column.heading.setAttribute("role", "columnheader");
			column.heading.removeAttribute("title");
			column.heading.replaceChildren(button);
		});
		this.status = element("p", { className: "status" });
		this.tools = element("p", { className: "tools" });
		this.addTool("Show more", () => this.grow(this.limit + MORE), "more");
		if (this.isTree) {
			this.addTool("Fold all", () => this.foldAll(true));
			this.addTool("Unfold all", () => this.foldAll(false));
		}
		const box = this.table.parentElement;
		box.before(this.status);
		box.after(this.tools);
	}

	addTool(text, action, name) {
		const button = element("button", { type: "button" }, text);
		button.addEventListener("click", action);
		this.tools.append(button);
		if (name)
			this[name] = button;
	}

	/* Up, down, and as it was. */
	sort(index) {
		if (this.sorted !== index)
			[this.sorted, this.isDescending] = [index, false];
		else if (!this.isDescending)
			this.isDescending = true;
		else
			[this.sorted, this.isDescending] = [-1, false];
		this.columns.forEach(({ heading }, i) => {
			if (i === this.sorted)
				heading.setAttribute("aria-sort", this.isDescending ? "descending" : "ascending");
			else
				heading.removeAttribute("aria-sort");
		});
		this.update();
	}

	search(words) {
		this.words = words;
		this.limit = FIRST;
		this.update();
	}

	grow(limit) {
		this.limit = limit;
		this.update();
	}

	foldAll(isFolded) {
		this.folded = new Set(isFolded ? this.rows.filter((row) => row.hasChildren) : []);
		this.update();
	}

	fold(row) {
		if (!this.folded.delete(row))
			this.folded.add(row);
		const index = this.shown.indexOf(row);
		this.update();
		const button = this.body.rows[index] && this.body.rows[index].querySelector("button.fold");
		if (button)
			button.focus();
	}

	matches(row) {
		if (row.text === undefined)
			row.text = row.cells.map(cellText).join("\n").toLowerCase();
		return this.words.every((word) => row.text.includes(word));
	}

	/* With words: the rows that have all of them, and in a tree those above them. */
	choose() {
		const isOrdered = this.sorted < 0;
		if (!this.words.length) {
			this.found = this.rows.length;
			if (!this.isTree || !isOrdered || !this.folded.size)
				return this.rows.slice();
			const hidden = new Set();
			return this.rows.filter((row) => {
				if (row.parent && (hidden.has(row.parent) || this.folded.has(row.parent)))
					hidden.add(row);
				return !hidden.has(row);
			});
		}
		const found = this.rows.filter((row) => this.matches(row));
		this.found = found.length;
		if (!this.isTree || !isOrdered)
			return found;
		const kept = new Set(found);
		for (const row of found)
			for (let above = row.parent; above && !kept.has(above); above = above.parent)
				kept.add(above);
		return this.rows.filter((row) => kept.has(row));
	}

	order(rows) {
		const column = this.sorted;
		if (column < 0)
			return rows;
		const compare = comparers[this.columns[column].kind] || compareTexts;
		const sign = this.isDescending ? -1 : 1;
		/* What is absent stands at the end, either way. */
		return rows.sort((a, b) => {
			const x = a.cells[column], y = b.cells[column];
			const isX = typeof x === "string", isY = typeof y === "string";
			return isX && isY ? sign * compare(x, y) : isX ? -1 : isY ? 1 : 0;
		});
	}

	makeRow(row) {
		const made = element("tr");
		made.setAttribute("role", "row");
		made.append(...row.cells.map((cell, index) => makeCell(cell, this.columns[index])));
		if (!this.isTree)
			return made;
		made.dataset.depth = row.depth;
		if (this.sorted >= 0)
			return made;
		made.className = "d" + Math.min(row.depth, 20);
		if (this.words.length && !this.matches(row))
			made.classList.add("context");
		if (row.hasChildren && !this.words.length)
			made.cells[0].prepend(this.makeFold(row));
		return made;
	}

	makeFold(row) {
		const isFolded = this.folded.has(row);
		const button = element("button", { type: "button", className: "fold" });
		button.setAttribute("aria-expanded", String(!isFolded));
		button.setAttribute("aria-label", "children of " + cellText(row.cells[0]));
		button.addEventListener("click", () => this.fold(row));
		return button;
	}

	update() {
		this.shown = this.order(this.choose());
		this.draw(this.limit);
	}

	draw(limit) {
		const rows = this.shown.slice(0, limit);
		this.body.replaceChildren(...rows.map((row) => this.makeRow(row)));
		this.say(rows.length);
	}

	/* Paper is told, too, what it does not show. */
	say(count) {
		const all = this.rows.length;
		const parts = [];
		if (count < this.shown.length)
			parts.push(`the first ${number.format(count)} of ${number.format(this.shown.length)} rows`);
		else
			parts.push(`${number.format(count)} ${count === 1 ? "row" : "rows"}`);
		if (this.words.length)
			parts.push(`${number.format(this.found)} of ${number.format(all)} match the search`);
		else if (this.shown.length < all)
			parts.push(`${number.format(all - this.shown.length)} folded`);
		this.status.textContent = parts.join("; ");
		this.more.hidden = count >= this.shown.length;
		this.tools.hidden = this.more.hidden && !this.isTree;
		this.table.parentElement.hidden = count === 0;
	}
}

/* --- the page */

const tables = [...document.querySelectorAll("table[id]")].map((table) => new Table(table));
const input = document.getElementById("search");
const output = document.getElementById("found");
let pending = 0;

function search() {
	const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
	for (const table of tables)
		table.search(words);
	const found = tables.reduce((sum, table) => sum + table.found, 0);
	output.textContent = words.length ? `${number.format(found)} rows match` : "";
	document.body.classList.toggle("searching", words.length > 0);
}

function searchSoon() {
	clearTimeout(pending);
	pending = setTimeout(search, 150);
}

document.getElementById("bar").hidden = false;
input.addEventListener("input", searchSoon);
document.getElementById("search-form").addEventListener("submit", (event) => {
	event.preventDefault();
	search();
});
document.addEventListener("keydown", (event) => {
	const isTyping = event.target.closest && event.target.closest("input");
	if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
		event.preventDefault();
		input.focus();
	} else if (event.key === "Escape" && isTyping && input.value) {
		input.value = "";
		search();
	}
});
addEventListener("beforeprint", () => tables.forEach((table) => table.draw(Math.max(table.limit, PRINTED))));
addEventListener("afterprint", () => tables.forEach((table) => table.draw(table.limit)));
document.documentElement.dataset.ready = "";
})();

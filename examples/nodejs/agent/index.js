// The rota of the next six watches, four hours each.
const { addHours, format, startOfHour } = require("date-fns");

const crew = process.env.CREW.split(",").map((name) => name.trim());
const first = addHours(startOfHour(new Date()), 1);

console.log(`The next ${2 * crew.length} watches:`);
for (let turn = 0; turn < 2 * crew.length; turn++) {
  const start = addHours(first, 4 * turn);
  console.log(`  ${format(start, "EEE HH:mm")}  ${crew[turn % crew.length]}`);
}

/**
 * Draws measurements as an SVG chart.
 *
 * @module
 */

import type { Row } from "./measure.ts";

const WIDTH = 460;
const HEIGHT = 300;
const LEFT = 56;
const BOTTOM = 44;
const TOP = 46;
const RIGHT = 90;

interface Line {
  readonly name: string;
  readonly color: string;
  readonly of: (row: Row) => number;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

const PANELS: readonly Panel[] = [
  {
    title: "Time to spread",
    unit: "rounds",
    lines: [
      { name: "started", color: "#8d99ae", of: ({ start }) => start },
      { name: "known", color: "#e07a5f", of: ({ known }) => known },
      { name: "spread", color: "#3d5a80", of: ({ spread }) => spread },
    ],
  },
  {
    title: "Cost at rest",
    unit: "KiB per second and member",
    lines: [{ name: "sent", color: "#3d5a80", of: ({ bytes }) => bytes / 1_024 }],
  },
];

/** An SVG with two panels over the cluster size; the caption names the settings. */
export function plot(rows: readonly Row[], caption: string): string {
  const width = PANELS.length * (LEFT + WIDTH + RIGHT);
  const height = TOP + HEIGHT + BOTTOM + 26;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13">
<rect width="${width}" height="${height}" fill="white"/>
${PANELS.map((panel, index) => drawPanel(panel, rows, index * (LEFT + WIDTH + RIGHT))).join("\n")}
<text x="${LEFT}" y="${height - 8}" fill="#666">${caption}</text>
</svg>
`;
}

function drawPanel({ title, unit, lines }: Panel, rows: readonly Row[], x: number): string {
  const most = Math.max(...rows.flatMap((row) => lines.map(({ of }) => of(row))), 1);
  const step = niceStep(most / 5);
  const top = Math.ceil(most / step) * step;
  const sizes = rows.map(({ members }) => members);
  const [least, largest] = [Math.log(Math.min(...sizes)), Math.log(Math.max(...sizes))];
  const atX = (size: number) =>
    x + LEFT + (largest === least ? 0.5 : (Math.log(size) - least) / (largest - least)) * WIDTH;
  const atY = (value: number) => TOP + HEIGHT - value / top * HEIGHT;
  const grid = Array.from({ length: Math.round(top / step) + 1 }, (_, each) => each * step).map((value) =>
    `<line x1="${x + LEFT}" x2="${x + LEFT + WIDTH}" y1="${atY(value)}" y2="${atY(value)}" stroke="#ddd"/>` +
    `<text x="${x + LEFT - 8}" y="${atY(value) + 4}" text-anchor="end" fill="#666">${+value.toFixed(
      2,
    )}</text>`
  );
  const ticks = sizes.map((size) =>
    `<text x="${atX(size)}" y="${TOP + HEIGHT + 18}" text-anchor="middle" fill="#666">${size}</text>`
  );
  const drawn = lines.map(({ name, color, of }) => {
    const points = rows.map((row) => `${atX(row.members).toFixed(1)},${atY(of(row)).toFixed(1)}`);
    const dots = points.map((point) => {
      const [cx, cy] = point.split(",");
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${color}"/>`;
    });
    const end = rows.at(-1)!;
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${color}" stroke-width="2"/>${
      dots.join("")
    }` +
      `<text x="${atX(end.members) + 8}" y="${atY(of(end)) + 4}" fill="${color}">${name}</text>`;
  });
  return `<text x="${x + LEFT}" y="22" font-size="15" fill="#222">${title}</text>
<text x="${x + LEFT}" y="38" fill="#666">${unit}</text>
${[...grid, ...ticks, ...drawn].join("\n")}
<text x="${x + LEFT + WIDTH / 2}" y="${TOP + HEIGHT + 36}" text-anchor="middle" fill="#666">members</text>`;
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

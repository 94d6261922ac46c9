/** The chart of docs/speed.md: how fast, where zeromq.js is 1. Plain SVG, in the colours of the page around it. */
import { type Row, ratio } from "./harness.ts"

interface Bar {
  readonly label: string
  readonly workload: string
  readonly baseline: string
  readonly contender: string
}

const bar = (label: string, workload: string, baseline: string, contender: string): Bar => ({
  label,
  workload,
  baseline,
  contender
})

const bars: ReadonlyArray<Bar> = [
  bar("recvString, 16 B, backlog", "receive 16 B from a backlog", "for await, text", "recvString"),
  bar("strings, 16 B, backlog", "receive 16 B from a backlog", "for await, text", "strings"),
  bar("runForEach, 16 B, backlog", "receive 16 B from a backlog", "for await", "runForEach"),
  bar("recvString, 16 B, tcp", "receive 16 B over tcp", "for await, text", "recvString"),
  bar("recvString, 1 KiB, tcp", "receive 1 KiB over tcp", "for await, text", "recvString"),
  bar("runForEach, 64 KiB, tcp", "receive 64 KiB over tcp", "for await", "runForEach"),
  bar(
    "the same, a million objects",
    "receive 64 KiB over tcp in a program of a million objects",
    "for await",
    "runForEach"
  ),
  bar("send, 16 B, tcp", "send 16 B over tcp", "await send()", "send"),
  bar("sendAll, 16 B, tcp", "send 16 B over tcp", "await send()", "sendAll"),
  bar("sink, 16 B, tcp", "send 16 B over tcp", "await send()", "sink"),
  bar("64 requests at once, tcp", "64 round trips DEALER/ROUTER at once over tcp", "zeromq.js by hand", "request"),
  bar("Effect wrapper, 16 B, backlog", "receive 16 B from a backlog", "for await", "wrapper"),
  bar("PyZMQ asyncio, 16 B, backlog", "receive 16 B from a backlog", "for await, text", "PyZMQ asyncio")
]

const labels = 230
const width = 760
const rowHeight = 24
const top = 46

const style = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .note, .axis { fill: #59636e; font-size: 12px }
  .ours { fill: #1a7f6b }
  .other { fill: #8c959f }
  .spread { stroke: #1f2328; stroke-width: 1.5 }
  .one { stroke: #59636e; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note, .axis { fill: #9198a1 }
    .ours { fill: #3fb99b }
    .other { fill: #6e7681 }
    .spread { stroke: #e6edf3 }
    .one { stroke: #9198a1 }
  }`

export const chart = (rows: ReadonlyArray<Row>): string => {
  const measured = bars.flatMap((bar) => {
    const find = (contender: string) =>
      rows.find((row) => row.workload === bar.workload && row.contender === contender && row.metric === "mean")
    const [over, under] = [find(bar.baseline), find(bar.contender)]
    return over && under ? [{ ...bar, ...ratio(over, under) }] : []
  })
  const most = Math.max(2, ...measured.map(({ high }) => high))
  const x = (value: number): number => Math.round((labels + (value / most) * (width - labels - 70)) * 10) / 10
  const bottom = top + measured.length * rowHeight
  const lines = measured.map(({ label, contender, low, median, high }, index) => {
    const y = top + index * rowHeight
    const middle = y + rowHeight / 2
    const kind = contender === "wrapper" || contender.startsWith("PyZMQ") ? "other" : "ours"
    return `  <text x="${labels - 10}" y="${middle + 4}" text-anchor="end">${label}</text>
  <rect class="${kind}" x="${labels}" y="${y + 4}" width="${(x(median) - labels).toFixed(1)}" height="16" rx="2"/>
  <path class="spread" d="M${x(low)} ${middle}H${x(high)}"/>
  <text x="${x(Math.max(median, high)) + 8}" y="${middle + 4}">${median.toFixed(2)} x</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 44}" role="img">
  <title>Speed of effect-zmq, where zeromq.js is 1</title>
  <style>${style}
  </style>
  <text class="title" x="12" y="24">Messages per second, where zeromq.js is 1</text>
${lines.join("\n")}
  <path class="one" d="M${x(1)} ${top - 6}V${bottom + 6}"/>
  <text class="axis" x="${x(1)}" y="${bottom + 22}" text-anchor="middle">zeromq.js</text>
  <text class="note" x="12" y="${bottom + 38}">Medians and quartiles of 7 rounds, side by side in one process.</text>
</svg>
`
}

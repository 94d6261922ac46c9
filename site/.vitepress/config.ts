/** The site: its pages are made by `pages.ts`, and the reference by TypeDoc. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { defineConfig } from "vitepress"
import { makePages, sources } from "../pages.ts"

makePages()

const pages = join(import.meta.dirname, "..", "pages")
const page = (text: string, link: string) => ({ text, link })

/** The modules that programs import, and then those whose names they meet in types. */
const modules = existsSync(join(pages, "reference"))
  ? readdirSync(join(pages, "reference"))
      .filter((file) => file !== "index.md")
      .map((file) => file.replace(/\.md$/, ""))
  : []

/** As GitHub names headings in links, so that a link holds in both places. */
const slugify = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-")

const start = [
  page("Install", "/start"),
  page("Ten minutes", "/ten-minutes"),
  page("When to use it", "/when"),
  page("All pages", "/all-pages"),
  page("Examples", "/examples/")
]
const howTo = [
  page("A job queue", "/how-to/queue"),
  page("Publish and subscribe", "/how-to/publish"),
  page("Ask and answer", "/how-to/ask"),
  page("Give up in time", "/how-to/time-limit"),
  page("Stop a service", "/how-to/stop"),
  page("Let in only some", "/how-to/secure"),
  page("Follow a trace", "/how-to/trace"),
  page("Test", "/how-to/test"),
  page("Deploy", "/how-to/deploy"),
  page("More machines", "/how-to/scale"),
  page("From PyZMQ", "/from-pyzmq"),
  page("From zeromq.js", "/from-zeromq-js")
]
const topics = [
  page("Receive and send", "/receive-and-send"),
  page("Streams and handlers", "/streams"),
  page("Request and serve", "/request-and-serve"),
  page("Codecs", "/codecs"),
  page("RPC", "/rpc"),
  page("Publish an RPC", "/publish-rpc"),
  page("Socket and SocketServer", "/socket-server"),
  page("Proxy", "/proxy"),
  page("Plain TCP", "/raw-stream"),
  page("Security", "/security"),
  page("Time limits and stopping", "/stopping"),
  page("Events and metrics", "/events-and-metrics"),
  page("Testing", "/testing"),
  page("Contexts and threads", "/contexts-and-threads"),
  page("Draft sockets", "/draft")
]
// Pages that are there, and not yet in a list above.
const listed = new Set([...start, ...howTo, ...topics].map(({ link }) => link))
const ofOthers = ["cluster", "command", "cli", "recording"].filter(
  (name) => existsSync(join(pages, `${name}.md`)) && !listed.has(`/${name}`)
)
const explain = [
  page("Cancellation", "/cancellation"),
  page("Once, or at least once", "/at-least-once"),
  page("Engines", "/engines")
]
const reference = [
  page("API", "/reference/"),
  page("Options", "/options"),
  page("Errors", "/errors"),
  page("Features", "/features"),
  page("Bounds", "/bounds")
]
const proof = [page("Guarantees", "/guarantees"), page("The proof, row by row", "/proof")]
const speed = [page("Speed", "/speed"), page("Benchmarks", "/benchmarks")]

// Where it is not at the root of its host: "/effect-zmq/".
const base = process.env.SITE_BASE ?? "/"

export default defineConfig({
  title: "effect-zmq",
  description: "ZeroMQ for Effect: scoped sockets, interruptible receives, and no cancellation that loses a message",
  base,
  lang: "en-GB",
  head: [["link", { rel: "icon", type: "image/svg+xml", href: `${base}logo.svg` }]],
  srcDir: "pages",
  // It is a part of the first screen, and no page.
  srcExclude: ["_*.md"],
  cleanUrls: true,
  // A link that leads nowhere ends the build.
  ignoreDeadLinks: false,
  markdown: {
    anchor: { slugify },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" }
  },
  themeConfig: {
    logo: "/logo.svg",
    nav: [
      page("Start", "/start"),
      page("How to", "/how-to/queue"),
      page("Explain", "/cancellation"),
      page("Reference", "/reference/"),
      page("Proof", "/guarantees"),
      page("Speed", "/speed")
    ],
    sidebar: [
      { text: "Start", items: start },
      { text: "How to", items: howTo },
      {
        text: "By topic",
        items: [...topics, ...ofOthers.map((name) => page(name[0]!.toUpperCase() + name.slice(1), `/${name}`))]
      },
      { text: "Explain", items: explain },
      { text: "Reference", items: reference },
      { text: "Modules", collapsed: true, items: modules.map((name) => page(name, `/reference/${name}`)) },
      { text: "Proof", items: proof },
      { text: "Speed", items: speed }
    ],
    outline: { level: [2, 3] },
    search: {
      provider: "local",
      options: {
        // What a page says comes before where a type mentions it.
        miniSearch: {
          searchOptions: {
            boostDocument: (id: string) => (/^\/(reference|examples|benchmarks|proof|speed)/.test(id) ? 0.3 : 1)
          }
        }
      }
    }
  },
  vite: {
    plugins: [
      {
        name: "pages",
        configureServer({ watcher }) {
          watcher.add(sources)
          watcher.on("change", (file) => {
            if (sources.some((source) => file.startsWith(source))) makePages()
          })
        }
      }
    ]
  }
})

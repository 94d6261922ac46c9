/**
 * Has TypeDoc list each member once, where it is declared. Otherwise a page has the fifty options of a
 * socket again for each of its types: a type says what it extends, and that is a link. And has a page begin
 * with what its file says at its head, which TypeDoc takes for a comment of nothing.
 */
import { readFileSync } from "node:fs"
import { Comment, Converter } from "typedoc"

const head = (file) => {
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, "utf8"))?.[1] ?? ""
  const text = comment
    .replace(/^\s*\* ?/gm, "")
    .split(/^@/m)[0]
    .trim()
  return new Comment([{ kind: "text", text }])
}

export const load = ({ converter }) =>
  converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const reflection of Object.values(project.reflections)) {
      if (reflection.inheritedFrom) project.removeReflection(reflection)
    }
    for (const module of project.children ?? []) {
      const file = `${import.meta.dirname}/../src/${module.name}.ts`
      module.comment ??= head(file)
    }
  })

/**
 * A schema in the terms of MessagePack: numbers, integers of 64 bits, bytes and
 * dates as they are, and all else in the form that the schema has in JSON.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

type AST = SchemaAST.AST

/** A copy with some fields replaced, as `effect` copies the nodes of a schema. */
const copy = <A extends AST>(ast: A, changes: Partial<A>): A =>
  Object.assign(Object.create(Object.getPrototypeOf(ast)), ast, changes)

// How a declaration says that it is in its JSON form already.
const asItIs = { toCodecJson: () => undefined }

const native = (expected: string, is: (value: unknown) => boolean, ast?: AST): AST =>
  new SchemaAST.Declaration(
    [],
    () => (input, self, options) =>
      is(input) ? Effect.succeed(input) : Effect.fail(new SchemaIssue.InvalidType(self, input, options)),
    { ...ast?.annotations, expected, ...asItIs },
    ast?.checks,
    undefined,
    ast?.context
  )

// Integers of up to 64 bits; others as text, as in JSON.
const wireInteger = native(
  "integer",
  (value) =>
    typeof value === "bigint" || Number.isSafeInteger(value) || (typeof value === "string" && /^-?\d+$/.test(value))
)
const fits = (value: bigint): boolean => BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
const integer = new SchemaAST.Link(
  wireInteger,
  SchemaTransformation.transform<bigint, bigint | number | string>({
    decode: (value) => BigInt(value),
    encode: (value) => (fits(value) ? value : `${value}`)
  })
)

const isNumber = (value: unknown): boolean => typeof value === "number"
const nativeDeclarations = new Set([Schema.Uint8Array, Schema.Date].map(({ ast }) => ast.annotations?.toCodecJson))

const step = (ast: AST): AST => {
  switch (ast._tag) {
    case "Number":
      return native("number", isNumber, ast)
    case "Unknown":
      return native("unknown", () => true, ast)
    case "BigInt":
      return copy(ast, { encoding: [integer] })
    case "Declaration":
      return nativeDeclarations.has(ast.annotations?.toCodecJson)
        ? copy(ast, { annotations: { ...ast.annotations, ...asItIs } })
        : copy(ast, { typeParameters: ast.typeParameters.map(toNative) })
    case "Arrays":
      return copy(ast, { elements: ast.elements.map(toNative), rest: ast.rest.map(toNative) })
    case "Objects":
      return copy(ast, {
        propertySignatures: ast.propertySignatures.map(
          ({ name, type }) => new SchemaAST.PropertySignature(name, toNative(type))
        ),
        indexSignatures: ast.indexSignatures.map(
          ({ parameter, type }) => new SchemaAST.IndexSignature(parameter, toNative(type))
        )
      })
    case "Union":
      return copy(ast, { types: ast.types.map(toNative) })
    case "Suspend": {
      const { thunk } = ast
      return copy(ast, { thunk: () => toNative(thunk()) })
    }
    default:
      return ast
  }
}

// What a node is encoded to is at the end of its links.
const replace = (ast: AST): AST => {
  if (ast.encoding === undefined) return step(ast)
  const last = ast.encoding.at(-1)!
  const link = new SchemaAST.Link(toNative(last.to), last.transformation)
  return copy(ast, { encoding: [...ast.encoding.slice(0, -1), link] as unknown as SchemaAST.Encoding })
}

const done = new WeakMap<AST, AST>()
const toNative = (ast: AST): AST => {
  let result = done.get(ast)
  if (result === undefined) {
    result = replace(ast)
    done.set(ast, result)
  }
  return result
}

/** The schema between a value and what `encodeMsgpack` takes and `decodeMsgpack` gives. */
export const toCodecMsgpack = <A>(schema: Schema.Codec<A, unknown>): Schema.Codec<A, unknown> =>
  Schema.toCodecJson(Schema.make<Schema.Codec<A, unknown>>(toNative(schema.ast)))

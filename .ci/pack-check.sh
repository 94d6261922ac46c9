#!/usr/bin/env bash
# Packs the library, and uses the tarball as its users will: in an empty project,
# from plain JavaScript, and from TypeScript in both ways of resolving modules.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n== %s\n' "$1"; }
version_of() { node -p "require('$root/node_modules/$1/package.json').version"; }

say "npm pack"
rm -rf dist
npm pack --loglevel error --pack-destination "$work"
tarball=$(ls "$work"/*.tgz)
tar tzf "$tarball" | grep -v -e /internal/ -e "\.map$" | sort

say "links of the pages in the tarball"
mkdir "$work/unpacked"
tar xzf "$tarball" -C "$work/unpacked"
node .ci/links.mjs "$work/unpacked/package"

say "npm publish --dry-run"
version=$(node -p "require('./package.json').version")
if [ -n "$(npm view "effect-zmq@$version" version 2>/dev/null)" ]; then
  # npm does not even pretend to publish a version twice.
  echo "$version is there already"
else
  # Provenance is asked of the CI that releases.
  npm publish "$tarball" --dry-run --provenance=false --loglevel error
fi

say "what is missing before a release"
# Whatever that is, it is no failure here. But then nothing may be released.
if ! node .ci/release-check.mjs && npm publish --dry-run --provenance=false >/dev/null 2>&1; then
  echo "npm publish would release it all the same"
  exit 1
fi

say "publint"
npx publint run "$tarball" --strict

say "are the types wrong"
npx attw "$tarball" --profile esm-only

say "no any in the public types"
node .ci/no-any.mjs

say "an empty project"
mkdir "$work/project"
cd "$work/project"
npm init -y >/dev/null
npm install --no-fund --no-audit \
  "$tarball" "effect@$(version_of effect)" "typescript@$(version_of typescript)" "@types/node@$(version_of @types/node)"

say "the README's first program, from plain JavaScript"
node "$root/.ci/first-program.mjs" "$root/README.md" >first.mjs
node first.mjs

say "a round trip, from plain JavaScript"
cat >round-trip.mjs <<'JS'
import assert from "node:assert/strict"
import { Effect } from "effect"
import { Zmq } from "effect-zmq"
import * as Direct from "effect-zmq/Zmq"

assert.equal(Zmq.pull, Direct.pull)
const program = Effect.gen(function* () {
  const pull = yield* Zmq.pull()
  const push = yield* Zmq.push({ connect: yield* pull.bind("tcp://127.0.0.1:*") })
  for (let i = 0; i < 1000; i++) yield* push.send([`${i}`, "frame"])
  for (let i = 0; i < 1000; i++) assert.deepEqual(yield* pull.recvStrings, [`${i}`, "frame"])
})
await Effect.runPromise(Effect.scoped(program))
console.log("1000 messages there and back in order")
JS
node round-trip.mjs

say "every module of the package, from plain JavaScript"
cat >modules.mjs <<'JS'
import { createRequire } from "node:module"
import { Effect } from "effect"
const { exports } = createRequire(import.meta.url)("effect-zmq/package.json")
const modules = Object.keys(exports).filter((path) => path !== "./package.json")
for (const path of modules) await import(path.replace(".", "effect-zmq"))
const { Draft } = await import("effect-zmq")
await Effect.runPromise(Effect.scoped(Draft.server({ bind: "tcp://127.0.0.1:*" })))
console.log(modules.join(" "))
JS
node --no-warnings modules.mjs

for resolution in nodenext bundler; do
  say "types, moduleResolution $resolution"
  cat >program.mts <<'TS'
import { Effect, Layer, Stream } from "effect"
import { Zmq } from "effect-zmq"
import * as Direct from "effect-zmq/Zmq"

const worker: Effect.Effect<string, Zmq.Again | Zmq.Closed | Zmq.DecodeError, Zmq.Receiver> = Zmq.recvString
export const same: Effect.Effect<string, Direct.Again | Direct.Closed | Direct.DecodeError, Direct.Receiver> = worker
export const live: Layer.Layer<Zmq.Socket | Zmq.Receiver, Zmq.SocketError> = Zmq.layer(
  Zmq.pull({ connect: "tcp://127.0.0.1:5557", receiveTimeout: "1 second" })
)
export const main = Zmq.strings.pipe(Stream.runDrain, Effect.provide(live))
export const oops = (pub: Zmq.Pub) =>
  // @ts-expect-error a PUB does not receive: so the types are really there
  pub.recv
TS
  module=$([ "$resolution" = bundler ] && echo esnext || echo nodenext)
  npx tsc --noEmit --strict --exactOptionalPropertyTypes --skipLibCheck false --target es2023 --types node \
    --module "$module" --moduleResolution "$resolution" program.mts
  echo ok
done

say "the command, packed and installed beside it"
cd "$root/cli"
rm -rf dist
npx tsc -p tsconfig.build.json
npm pack --ignore-scripts --loglevel error --pack-destination "$work"
tar tzf "$work"/effect-zmq-cli-*.tgz | sort
mkdir "$work/command"
cd "$work/command"
npm init -y >/dev/null
npm install --no-fund --no-audit "$tarball" "$work"/effect-zmq-cli-*.tgz "effect@$(version_of effect)"
npx ezmq --version
endpoint="ipc://$work/jobs.sock"
npx ezmq pull --bind "$endpoint" --count 3 --timeout 2m >jobs &
seq 3 | npx ezmq push --timeout 2m "$endpoint"
wait $!
[ "$(cat jobs)" = "$(seq 3)" ]
# Their versions go together.
[ "$(node -p "require('$root/cli/package.json').dependencies['effect-zmq']")" = "$(node -p "require('$root/package.json').version")" ]
echo ok

say "the packages are fine"

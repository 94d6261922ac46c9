#!/usr/bin/env bash
# The packed library on Bun and Deno, on its engine in TypeScript, where the package
# of the other engine is not even there. Both come from npm, into a folder of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version_of() { node -p "require('$root/node_modules/$1/package.json').version"; }

npm pack --loglevel error --pack-destination "$work"
cd "$work"
npm init -y >/dev/null
npm pkg set type=module
npm install --no-fund --no-audit --loglevel error ./*.tgz "effect@$(version_of effect)" \
  "libsodium-wrappers@$(version_of libsodium-wrappers)" bun deno
rm -rf node_modules/zeromq
cp "$root/test/runtimes/smoke.mjs" .

for run in "node" "npx bun run" "npx deno run --allow-all --no-lock"; do
  printf '\n== %s\n' "$run"
  $run smoke.mjs
done

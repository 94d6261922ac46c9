/**
 * What the effects of a cluster are counted by. Whoever takes the lock of a shard takes its
 * fence, too: the token grows each time, for the same runner as for another. Each effect is
 * written with the token of who makes it, and with the token of that moment, so that an
 * effect of one who no longer has the shard is seen by its older token.
 */
export const schema: ReadonlyArray<string> = [
  `create table fence (shard text primary key, token bigint not null, holder text not null)`,
  `create table effects (
  seq bigserial primary key, at timestamptz not null default clock_timestamp(),
  call text not null, kind text not null, entity text not null, shard text not null,
  runner text not null, token bigint not null, current bigint not null
)`,
  `create function enter(of_shard text, by_runner text) returns bigint language sql as $$
  insert into fence values (of_shard, 1, by_runner)
  on conflict (shard) do update set token = fence.token + 1, holder = excluded.holder
  returning token
$$`,
  `create function effect(of_call text, of_kind text, of_entity text, of_shard text, by_runner text, with_token bigint)
returns void language sql as $$
  with now as (select token from fence where shard = of_shard for share)
  insert into effects (call, kind, entity, shard, runner, token, current)
  select of_call, of_kind, of_entity, of_shard, by_runner, with_token, now.token from now
$$`
]

export interface Effected {
  readonly call: string
  readonly shard: string
  readonly runner: string
  readonly token: number
  readonly current: number
  /** Milliseconds since 1970. */
  readonly at: number
}

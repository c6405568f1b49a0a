-- One log: the tables of an application instance. `payload_type` stands for jsonb or bytea, as the schema was
-- created with, `$schema` for the schema's name, `$literal` for the
-- same within quotes: nothing relies on the search path.

create table $schema.log (
  only_row       boolean primary key default true check (only_row),
  store_id       uuid not null default gen_random_uuid(),
  application    text,
  position_floor bigint not null default 0 check (position_floor >= 0),
  created_at     timestamptz not null default clock_timestamp()
);
comment on table $schema.log is
  'One row: which store this is, which application it is bound to, and the last position that was given away by a '
  'hard deletion. Written by bind (row lock) and by hard deletion (append lock).';
insert into $schema.log default values;

create table $schema.streams (
  stream_id  bigint generated always as identity primary key,
  version    bigint not null,
  created_at timestamptz not null,
  deleted_at timestamptz,
  erased_at  timestamptz,
  has_links  boolean not null default false,
  name       text collate "C" not null
) with (fillfactor = 70);
create unique index streams_name on $schema.streams (name) where erased_at is null;
comment on table $schema.streams is
  'One row a stream, with its version: the authority for expected versions. Written by append, link and delete, '
  'always under the append lock. A hard-deleted stream keeps its row, erased, so that outcomes keep its name.';

create table $schema.events (
  position       bigint not null primary key,
  stream_id      bigint not null,
  version        bigint not null,
  recorded_at    timestamptz not null,
  event_id       uuid not null,
  correlation_id uuid not null,
  causation_id   uuid not null,
  schema_version bigint not null,
  type           text collate "C" not null,
  data           payload_type not null,
  metadata       payload_type,
  tags           text[],
  constraint events_stream_version unique (stream_id, version),
  constraint events_event_id unique (event_id),
  constraint events_begin_at_1 check (position > 0 and version > 0)
);
-- Checks cost their parsing with every statement; what the functions guarantee by themselves has none.
comment on table $schema.events is
  'The log. Rows are only ever added, by append under the append lock: position is the highest one plus 1, so that '
  'it has no hole and becomes visible in order. Removed by hard deletion alone.';

create table $schema.links (
  stream_id bigint not null,
  version   bigint not null check (version > 0),
  position  bigint not null,
  primary key (stream_id, version),
  constraint links_once unique (stream_id, position)
);
comment on table $schema.links is
  'Events in further streams: a place in the stream, and the position of the event, which may have been '
  'hard-deleted since. Written by link, under the append lock.';

create table $schema.appends (
  append_id   uuid not null,
  stream_id   bigint,
  version     bigint not null,
  position    bigint not null,
  appended_at timestamptz not null,
  events      integer not null,
  ordinal     smallint not null,
  stream      text collate "C",
  primary key (append_id, ordinal)
);
create index appends_appended_at on $schema.appends using brin (appended_at);
comment on table $schema.appends is
  'The outcome of each append, a row a write: what makes a repeated command return its first outcome. Written by '
  'append under the append lock, in the transaction of its events; removed when its retention time is over. '
  'stream names the stream where there is no row of streams for it: of states, and of writes without events.';

create table $schema.states (
  stream         text collate "C" primary key,
  version        bigint not null check (version > 0),
  schema_version bigint not null,
  updated_at     timestamptz not null,
  data           payload_type not null
) with (fillfactor = 70);
comment on table $schema.states is
  'The states of state-stored aggregates. Written by append, under the append lock.';

create table $schema.snapshots (
  stream         text collate "C" primary key,
  version        bigint not null,
  schema_version bigint not null,
  created_at     timestamptz not null,
  state_type     text not null,
  data           bytea not null
) with (fillfactor = 70);
comment on table $schema.snapshots is
  'The latest snapshot of each stream: a cache, which may be emptied at any time. Written without a lock but the '
  'row''s own.';

create table $schema.subscriptions (
  name        text collate "C" primary key,
  position    bigint check (position >= 0),
  epoch       bigint not null default 0,
  owner       uuid,
  lease_until timestamptz,
  updated_at  timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
comment on table $schema.subscriptions is
  'The lease and the checkpoint of each handler. The lease is taken and prolonged by a single update on database '
  'time; the checkpoint is written only with the epoch of the lease. The row''s own lock is all there is.';

create function $schema.refuse_change() returns trigger language plpgsql as $$
begin
  if tg_level = 'ROW' and current_setting('cqrs.maintenance', true) = 'on' then
    return old;
  end if;
  raise exception '% are immutable', tg_table_name using errcode = 'object_not_in_prerequisite_state',
    hint = 'the log only grows; hard deletion is a call of the store';
end $$;
create trigger events_immutable before update or delete on $schema.events
  for each row execute function $schema.refuse_change();
create trigger events_not_truncated before truncate on $schema.events
  for each statement execute function $schema.refuse_change();

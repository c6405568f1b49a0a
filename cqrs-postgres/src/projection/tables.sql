-- What is known of the rows of projections. `$schema` stands for the name of the schema. It lies where the rows lie,
-- which need not be where the log is.

create schema if not exists $schema;

create table if not exists $schema.projections (
  projection      text collate "C" primary key,
  namespace       text not null unique,
  last_generation bigint not null
);
comment on table $schema.projections is
  'One row a projection, with the name of the schema in which readers find its rows.';

create table if not exists $schema.generations (
  projection text collate "C" not null references $schema.projections,
  generation bigint not null,
  version    bigint not null,
  state      text not null check (state in ('building', 'active', 'kept', 'rolled back')),
  position   bigint not null,
  epoch      bigint not null,
  is_made    boolean not null,
  log        text not null,
  held_until timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  primary key (projection, generation)
);
create unique index if not exists generations_one_building on $schema.generations (projection)
  where state = 'building';
create unique index if not exists generations_one_active on $schema.generations (projection)
  where state = 'active';
comment on table $schema.generations is
  'One row for rows that were made from the beginning of the log, with how far they are made and the epoch of their '
  'owner. Each transaction of a projection updates it, last, if position and epoch are still what it began with, '
  'and the generation is not held for the next one to come as far.';

create table if not exists $schema.records (
  projection text collate "C" not null,
  generation bigint not null,
  kind       text collate "C" not null,
  key        text collate "C" not null,
  position   bigint not null,
  due_at     timestamptz,
  data       bytea not null,
  primary key (projection, generation, kind, key),
  foreign key (projection, generation) references $schema.generations on delete cascade
);
comment on table $schema.records is
  'What is kept beside the rows of a generation, such as the keys that are parked. Written with its row.';

-- What every transaction of a projection begins with, with a plan that the session keeps. While rows are being built,
-- commits do not wait for the disk. Unqualified names are those of the generation's schema first.
create or replace function $schema.enter(text, bigint) returns void language plpgsql as $$
begin
  perform
    set_config('synchronous_commit',
      case g.state when 'building' then 'off' else current_setting('synchronous_commit') end, true),
    set_config('search_path',
      quote_ident(case g.state when 'active' then p.namespace else p.namespace || '_g' || g.generation end)
        || ', ' || current_setting('search_path'), true)
  from $schema.generations g join $schema.projections p using (projection)
  where projection = $1 and generation = $2;
end
$$;

-- What every transaction of a projection ends with, right before its commit: it moves the position, or refuses to have
-- the transaction committed.
create or replace function $schema.move_on(text, bigint, bigint, bigint, bigint) returns void language plpgsql as $$
begin
  update $schema.generations set position = coalesce($5, position)
    where projection = $1 and generation = $2 and epoch = $3 and position = $4
    and (held_until is null or held_until <= clock_timestamp());
  if not found then
    raise exception 'the rows are made by another one' using errcode = 'CQ001';
  end if;
end
$$;

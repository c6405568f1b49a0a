create table $schema.records (
  handler  text collate "C" not null,
  kind     text collate "C" not null,
  key      text collate "C" not null,
  position bigint not null,
  due_at   timestamptz,
  data     jsonb not null,
  primary key (handler, kind, key)
) with (fillfactor = 70);
create index records_due on $schema.records (handler, kind, due_at) where due_at is not null;
comment on table $schema.records is
  'What handlers keep beside their checkpoint: events that are parked, instances of process managers, and the like. '
  'Written by the owner of the handler in the transaction of its checkpoint, and only with the epoch of its lease; '
  'what others tell the owner is written with the rows'' own locks alone.';

-- What led to what. An index of the ordinary kind would cost each event about 85 bytes of write-ahead log; these
-- summarise a mebibyte of events at a time, which comes to 4 bytes an event for both. Postgres 13 has no summary
-- by Bloom filter; there the one by least and greatest value serves ids that were drawn in the order of time.
do $$
declare
  ops text := case when current_setting('server_version_num')::integer >= 140000 then 'uuid_bloom_ops'
              else 'uuid_minmax_ops' end;
begin
  execute 'create index events_correlation on $literal.events using brin (correlation_id ' || ops
    || ') with (autosummarize = on)';
  execute 'create index events_causation on $literal.events using brin (causation_id ' || ops
    || ') with (autosummarize = on)';
end $$;
-- An index on an empty table begins with a summary of nothing, which each of the first events would write anew.
select brin_desummarize_range('$literal.events_correlation', 0), brin_desummarize_range('$literal.events_causation', 0)
  where not exists (select from $schema.events);

-- A summary leads to blocks, hence by way of a bitmap, which statements of the store are not planned with otherwise. The
-- sum keeps the planner from walking through the log by its positions.
create function $schema.correlated(p_id uuid, p_after bigint, p_reach bigint, p_limit bigint)
returns setof bigint language sql stable rows 10
  set enable_bitmapscan = on set enable_seqscan = off set max_parallel_workers_per_gather = 0 as $$
  select position from $schema.events
    where correlation_id = p_id and position + 0 > p_after and position + 0 <= p_reach order by position limit p_limit
$$;

create function $schema.first_caused(p_id uuid)
returns bigint language sql stable
  set enable_bitmapscan = on set enable_seqscan = off set max_parallel_workers_per_gather = 0 as $$
  select min(position + 0) from $schema.events where causation_id = p_id
$$;

create table $schema.audit (
  audit_id       uuid primary key,
  command_id     uuid not null,
  causation_id   uuid,
  correlation_id uuid not null,
  occurred_at    timestamptz not null,
  duration_us    bigint check (duration_us >= 0),
  success        boolean,
  command        text collate "C" not null,
  actor          text collate "C",
  error_kind     text collate "C",
  error          text,
  data           json not null,
  metadata       json not null
) with (fillfactor = 80);
create index audit_command on $schema.audit (command_id);
create index audit_correlation on $schema.audit (correlation_id);
create index audit_actor on $schema.audit (actor, audit_id) where actor is not null;
create index audit_occurred on $schema.audit (occurred_at);
comment on table $schema.audit is
  'A row a dispatch, where an application has the layer for it: written before the command is dispatched, and completed '
  'once, without a lock but the row''s own; success is null until then. No index knows what is completed, so that a row '
  'is completed in its place. Removed by its own retention alone.';

-- Appending. Expected versions: a number from 0 on is that version, -1 anything, -2 an existing stream.
-- Status: 0 written, 1 wrong version, 2 stream deleted, 3 an id is known already, 4 a state may not go back.

-- Every statement below goes by an index; the store's sessions switch the planner's other ways off, and append_many,
-- which is called in transactions of user code as well, does so itself. A plan that was made while the tables were
-- small, without statistics, would otherwise be kept when they are large.

-- The one lock of the log: taken first by whatever writes to it, held to the end of the transaction. Gives the highest
-- position. There is no counter row, which would bloat; no position is visible before all smaller ones are.
create function $schema.lock_log() returns bigint language plpgsql
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'an append needs the isolation level READ COMMITTED, not %',
      upper(current_setting('transaction_isolation')) using errcode = 'invalid_transaction_state';
  end if;
  perform pg_advisory_xact_lock(1668510323, '$literal.events'::regclass::oid::integer);
  -- A statement of its own, so that it sees what was committed while the lock was waited for.
  return (select greatest((select position from $schema.events order by position desc limit 1),
                          (select position_floor from $schema.log)));
end $$;

-- One append of events to one stream: the cheapest way there is, for transactions of its own, whose isolation level
-- is that of the store's sessions. Plain statements of one table each start faster than one that joins them.
create function $schema.append_one(
  p_append uuid, p_stream text, p_expected bigint,
  p_ids uuid[], p_types text[], p_schemas bigint[], p_causations uuid[], p_correlations uuid[],
  p_data payload_type[], p_metadata payload_type[],
  out o_status smallint, out o_version bigint, out o_head bigint)
language plpgsql
as $$
declare
  n integer := cardinality(p_ids);
  now_ timestamptz;
  sid bigint;
  deleted timestamptz;
begin
  perform pg_advisory_xact_lock(1668510323, '$literal.events'::regclass::oid::integer);
  now_ := clock_timestamp();
  select position into o_head from $schema.events order by position desc limit 1;
  select greatest(o_head, position_floor) into o_head from $schema.log;
  select stream_id, version, deleted_at into sid, o_version, deleted
    from $schema.streams where name = p_stream and erased_at is null;
  o_version := coalesce(o_version, 0);
  perform from $schema.appends where append_id = p_append;
  o_status := case
    when found then 3
    when deleted is not null then 2
    when p_expected = -1 or p_expected = o_version or (p_expected = -2 and o_version > 0) then 0
    else 1 end;
  if o_status <> 0 then return; end if;
  if sid is null then
    sid := nextval('$literal.streams_stream_id_seq');
    insert into $schema.streams (stream_id, name, version, created_at) overriding system value
      values (sid, p_stream, n, now_);
  else
    update $schema.streams set version = o_version + n where stream_id = sid;
  end if;
  insert into $schema.appends (append_id, ordinal, stream_id, version, events, position, appended_at)
    values (p_append, 0, sid, o_version + n, n, o_head + n, now_);
  insert into $schema.events
    (position, stream_id, version, recorded_at, event_id, correlation_id, causation_id, schema_version, type, data,
     metadata)
  select o_head + e.k, sid, o_version + e.k, now_, e.id, e.correlation, e.causation, e.schema, e.type, e.data,
    e.metadata
  from unnest(p_ids, p_types, p_schemas, p_causations, p_correlations, p_data, p_metadata)
    with ordinality e(id, type, schema, causation, correlation, data, metadata, k);
  o_head := o_head + n;
end $$;

-- Many appends, in units that happen wholly or not at all. A stream stands in one write only.
--   a_*: the appends, with the unit of each
--   w_*: the writes of events: the unit, the stream, its expected version, the number of events
--   e_*: the events: their write, their place in it from 1 on
--   s_*: the states
--   r_*: what is kept as outcome: the append, its ordinal, the write or state (negative) it speaks of, up to which
--        event of the write it goes, and how many events are its own
create function $schema.append_many(
  p_units integer, a_id uuid[], a_unit integer[],
  w_unit integer[], w_stream text[], w_expected bigint[], w_count bigint[],
  e_write integer[], e_k bigint[], e_ids uuid[], e_types text[], e_schemas bigint[], e_causations uuid[],
  e_correlations uuid[], e_data payload_type[], e_metadata payload_type[],
  s_unit integer[], s_stream text[], s_expected bigint[], s_version bigint[], s_schemas bigint[],
  s_data payload_type[],
  r_append uuid[], r_ordinal smallint[], r_write integer[], r_end bigint[], r_events integer[],
  out o_unit smallint[], out o_status smallint[], out o_version bigint[], out o_position bigint[],
  out o_state_status smallint[], out o_state_version bigint[], out o_known uuid[], out o_head bigint)
language plpgsql
  set plan_cache_mode = force_generic_plan set jit = off
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
  set enable_material = off
as $$
declare
  now_ timestamptz;
  sid bigint[];
  has_new boolean;
  has_old boolean;
  total bigint;
begin
  o_head := $schema.lock_log();
  now_ := clock_timestamp();
  o_unit := array_fill(0::smallint, array[p_units]);

  select array_agg(i.known) into o_known
    from unnest(a_id) i(known) where exists (select from $schema.appends a where a.append_id = i.known);
  if o_known is not null then
    for g in 1 .. cardinality(a_id) loop
      if a_id[g] = any (o_known) then o_unit[a_unit[g]] := 3; end if;
    end loop;
  end if;

  select array_agg(s.stream_id order by w.ord), array_agg(coalesce(s.version, 0) order by w.ord),
         array_agg((case
           when s.deleted_at is not null then 2
           when w.expected = -1 or w.expected = coalesce(s.version, 0) or (w.expected = -2 and s.version > 0) then 0
           else 1 end)::smallint order by w.ord)
    into sid, o_version, o_status
    from unnest(w_stream, w_expected) with ordinality w(stream, expected, ord)
    left join lateral
      (select * from $schema.streams t where t.name = w.stream and t.erased_at is null limit 1) s on true;
  if 1 = any (o_status) or 2 = any (o_status) then
    for g in 1 .. cardinality(o_status) loop
      if o_status[g] <> 0 and o_unit[w_unit[g]] = 0 then o_unit[w_unit[g]] := o_status[g]; end if;
    end loop;
  end if;

  if cardinality(s_stream) > 0 then
    select array_agg(coalesce(t.version, 0) order by s.ord),
           array_agg((case
             when coalesce(t.version, 0) <> s.expected then 1
             when s.version <= s.expected then 4
             else 0 end)::smallint order by s.ord)
      into o_state_version, o_state_status
      from unnest(s_stream, s_expected, s_version) with ordinality s(stream, expected, version, ord)
      left join lateral (select * from $schema.states where stream = s.stream limit 1) t on true;
    for g in 1 .. cardinality(s_stream) loop
      if o_state_status[g] <> 0 and o_unit[s_unit[g]] = 0 then o_unit[s_unit[g]] := o_state_status[g]; end if;
    end loop;
    insert into $schema.states (stream, version, schema_version, updated_at, data)
      select s.stream, s.version, s.schema, now_, s.data
      from unnest(s_unit, s_stream, s_version, s_schemas, s_data) s(unit, stream, version, schema, data)
      where o_unit[s.unit] = 0
      on conflict (stream) do update set version = excluded.version, schema_version = excluded.schema_version,
        updated_at = excluded.updated_at, data = excluded.data;
  end if;

  if cardinality(w_stream) > 0 then
    select array_agg(case
             when q.stream_id is null and q.own > 0 then nextval('$literal.streams_stream_id_seq')
             else q.stream_id end order by q.ord),
           array_agg(o_head + q.until - q.own order by q.ord), sum(q.own),
           bool_or(q.stream_id is null and q.own > 0), bool_or(q.stream_id is not null and q.own > 0)
      into sid, o_position, total, has_new, has_old
      from (select y.*, sum(y.own) over (order by y.ord) as until
            from (select w.ord, w.stream_id, case when o_unit[w.unit] = 0 then w.count else 0 end as own
                  from unnest(w_unit, w_count, sid) with ordinality w(unit, count, stream_id, ord)) y) q;
    if has_new then
      insert into $schema.streams (stream_id, name, version, created_at) overriding system value
        select sid[w.ord], w.stream, w.count, now_
        from unnest(w_unit, w_stream, w_count) with ordinality w(unit, stream, count, ord)
        where o_unit[w.unit] = 0 and o_version[w.ord] = 0 and w.count > 0;
    end if;
    if has_old then
      update $schema.streams s set version = o_version[w.ord] + w.count
        from unnest(w_unit, w_count) with ordinality w(unit, count, ord)
        where o_unit[w.unit] = 0 and o_version[w.ord] > 0 and w.count > 0 and s.stream_id = sid[w.ord];
    end if;
    if total > 0 then
      insert into $schema.events
        (position, stream_id, version, recorded_at, event_id, correlation_id, causation_id, schema_version, type,
         data, metadata)
      select o_position[e.write] + e.k, sid[e.write], o_version[e.write] + e.k, now_, e.id, e.correlation, e.causation,
        e.schema, e.type, e.data, e.metadata
      from unnest(e_write, e_k, e_ids, e_types, e_schemas, e_causations, e_correlations, e_data, e_metadata)
        e(write, k, id, type, schema, causation, correlation, data, metadata)
      where o_unit[w_unit[e.write]] = 0;
      o_head := o_head + total;
    end if;
  end if;

  insert into $schema.appends (append_id, ordinal, stream_id, version, events, position, appended_at, stream)
    select r.append, r.ordinal,
      case when r.write > 0 then sid[r.write] end,
      case when r.write > 0 then o_version[r.write] + r.until
           when r.write < 0 then r.until else 0 end,
      r.events,
      case when r.events > 0 then o_position[r.write] + r.until else 0 end,
      now_,
      case when r.write > 0 and sid[r.write] is null then w_stream[r.write]
           when r.write < 0 then s_stream[-r.write] end
    from unnest(r_append, r_ordinal, r_write, r_end, r_events) r(append, ordinal, write, until, events)
    where o_unit[coalesce(w_unit[r.write], s_unit[-r.write], a_unit[array_position(a_id, r.append)])] = 0;
end $$;

-- Linking and deleting: whatever else changes a stream, under the same lock as appending.

-- Status: 0 done, 1 wrong version, 2 stream deleted, 5 there is no event, 6 the stream holds it already, 7 it
-- is named twice; o_ordinal tells which of the positions.
create function $schema.link(p_stream text, p_expected bigint, p_positions bigint[],
  out o_status smallint, out o_version bigint, out o_ordinal bigint)
language plpgsql
as $$
declare
  now_ timestamptz;
  target $schema.streams%rowtype;
begin
  perform $schema.lock_log();
  now_ := clock_timestamp();
  select * into target from $schema.streams where name = p_stream and erased_at is null;
  o_version := coalesce(target.version, 0);
  o_status := case
    when target.deleted_at is not null then 2
    when p_expected = -1 or p_expected = o_version or (p_expected = -2 and o_version > 0) then 0
    else 1 end;
  if o_status <> 0 or cardinality(p_positions) = 0 then return; end if;
  select p.ord, case when e.position is null then 5
                          when e.stream_id = target.stream_id or l.position is not null then 6
                          else 7 end
    into o_ordinal, o_status
    from unnest(p_positions) with ordinality p(position, ord)
    left join $schema.events e using (position)
    left join $schema.links l on l.stream_id = target.stream_id and l.position = p.position
    where e.position is null or e.stream_id = target.stream_id or l.position is not null
      or p.position = any (p_positions[:p.ord - 1])
    order by p.ord limit 1;
  if found then return; end if;
  o_status := 0;
  if target.stream_id is null then
    insert into $schema.streams (name, version, created_at) values (p_stream, 0, now_)
      returning stream_id into target.stream_id;
  end if;
  insert into $schema.links (stream_id, version, position)
    select target.stream_id, o_version + p.ord, p.position
    from unnest(p_positions) with ordinality p(position, ord);
  o_version := o_version + cardinality(p_positions);
  update $schema.streams set version = o_version, has_links = true where stream_id = target.stream_id;
end $$;

-- Status: 0 done, 1 wrong version, 2 deleted softly before, 8 there is no such stream.
create function $schema.delete_stream(p_stream text, p_expected bigint, p_hard boolean,
  out o_status smallint, out o_version bigint)
language plpgsql
as $$
declare
  head bigint := $schema.lock_log();
  target $schema.streams%rowtype;
begin
  select * into target from $schema.streams where name = p_stream and erased_at is null;
  o_version := coalesce(target.version, 0);
  o_status := case
    when target.stream_id is null then 8
    when target.deleted_at is not null then 2
    when p_expected = -1 or p_expected = o_version or (p_expected = -2 and o_version > 0) then 0
    else 1 end;
  if o_status <> 0 then return; end if;
  if not p_hard then
    update $schema.streams set deleted_at = clock_timestamp() where stream_id = target.stream_id;
    return;
  end if;
  -- Positions are never given twice, also when the last event goes.
  update $schema.log set position_floor = head;
  perform set_config('cqrs.maintenance', 'on', true);
  delete from $schema.events where stream_id = target.stream_id;
  perform set_config('cqrs.maintenance', 'off', true);
  delete from $schema.links where stream_id = target.stream_id;
  delete from $schema.snapshots where stream = p_stream;
  update $schema.streams set erased_at = clock_timestamp() where stream_id = target.stream_id;
end $$;
